package director

import "centrifuge"

// observe tells the observer of a commit's transitions, in their order. Acceptance
// has no transition of its own and is told as one. What comes from another JobDB is
// not told: its history was, there.
func (t *tenure) observe(g *group) {
	if t.o.Observe == nil {
		return
	}
	steps := g.batch.Transitions()
	events := t.events[:0]
	for i := range g.effects {
		e := &g.effects[i]
		switch {
		case e.arrived != nil:
			for len(steps) > 0 && steps[0].JobID == e.job.ID {
				steps = steps[1:]
			}
			continue
		case e.from == 0:
			events = append(events, centrifuge.Event{Job: e.job, Step: centrifuge.Transition{
				JobID: e.job.ID, State: e.life.State, Attempt: e.life.Attempt, Time: e.job.CreatedAt,
			}})
		default:
			events = append(events, centrifuge.Event{Job: e.job, From: e.from, Step: steps[0]})
			steps = steps[1:]
		}
	}
	if len(events) > 0 {
		t.o.Observe(events)
	}
	clear(events)
	t.events = events
}
