package director

import "centrifuge"

// observe tells the observer of a commit's transitions, in their order. Acceptance
// has no transition of its own and is told as one, with the sequence number 0; a job
// that was moved in has one (see jobdb.Batch).
func (t *tenure) observe(g *group) {
	if t.o.Observe == nil {
		return
	}
	steps := g.batch.Transitions()
	events := t.events[:0]
	for i := range g.effects {
		e := &g.effects[i]
		event := centrifuge.Event{Job: e.job, From: e.from}
		if e.from == 0 && (len(steps) == 0 || steps[0].JobID != e.job.ID) {
			event.Step = centrifuge.Transition{
				JobID: e.job.ID, State: e.life.State, Attempt: e.life.Attempt, Time: e.job.CreatedAt,
			}
		} else {
			event.Step, steps = steps[0], steps[1:]
		}
		events = append(events, event)
	}
	t.o.Observe(events)
	clear(events)
	t.events = events
}
