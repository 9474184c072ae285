package visibility

import (
	"context"
	"slices"

	"centrifuge"
)

// span is a part of a day, in minutes of it, that is read at one level.
type span struct {
	day      Day
	level    level
	from, to int
	running  bool // the counts of these minutes are added up in memory
}

// plan divides the minutes into spans, each of the coarsest level that is sealed and
// fits. With a step no span crosses a multiple of it.
func (b *book) plan(ctx context.Context, from, to minute, step int) ([]span, error) {
	var spans []span
	err := b.eachDay(ctx, from, to, func(d Day) error {
		begin, end := int(max(from-d.first(), 0)), int(min(to-d.first(), minutesOfDay))
		sealed := b.whole[d]
		if sealed.day && begin == 0 && end == minutesOfDay && step%minutesOfDay == 0 {
			spans = append(spans, span{day: d, level: levelDay, to: minutesOfDay})
			return nil
		}
		for at := begin; at < end; {
			next, l := min(end, (at/minutesOfHour+1)*minutesOfHour), levelMinute
			if next-at == minutesOfHour && sealed.hours[at/minutesOfHour] && step%minutesOfHour == 0 {
				l = levelHour
			} else if first, last, ok := b.running.within(d, at, next); ok && step%minutesOfHour == 0 && to-from >= minutesOfDay {
				// In less than a day an hour is too coarse for whoever draws it.
				if at < first {
					spans = append(spans, span{day: d, level: levelMinute, from: at, to: first})
				}
				spans = append(spans, span{day: d, level: levelMinute, from: first, to: last, running: true})
				at = last
				continue
			}
			if n := len(spans); n > 0 && spans[n-1].day == d && spans[n-1].level == l && spans[n-1].to == at && !spans[n-1].running {
				spans[n-1].to = next
			} else {
				spans = append(spans, span{day: d, level: l, from: at, to: next})
			}
			at = next
		}
		return nil
	})
	return spans, err
}

// scope is which cells are read: of one kind those with the ids, those of one block,
// or all if neither is given.
type scope struct {
	kind  kind
	ids   []uint32 // ascending, if not nil
	block *uint32  // of counts
}

func (c *scope) has(id uint32) bool {
	if c.ids != nil {
		_, ok := slices.BinarySearch(c.ids, id)
		return ok
	}
	return c.block == nil || id>>blockBits == *c.block
}

// scopeOf finds the cells whose sum is what a filter selects, and false if it
// selects nothing that was ever recorded.
func (b *book) scopeOf(f Filter) (scope, bool) {
	one := func(k kind) (scope, bool) {
		id, ok := b.names.id(k, centrifuge.QueueKey{Source: f.Source, Destination: f.Destination})
		return scope{kind: k, ids: []uint32{id}}, ok
	}
	switch {
	case f.Among != nil && f.Source != "" && !slices.Contains(f.Among, f.Source):
		return scope{}, false
	case f.Source != "" && f.Destination != "":
		return one(kindQueue)
	case f.Source != "":
		return one(kindSource)
	case f.Among != nil:
		k := kindSource
		if f.Destination != "" {
			k = kindQueue
		}
		ids := make([]uint32, 0, len(f.Among))
		for _, source := range f.Among {
			if id, ok := b.names.id(k, centrifuge.QueueKey{Source: source, Destination: f.Destination}); ok {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return scope{kind: k, ids: slices.Compact(ids)}, len(ids) > 0
	case f.Destination != "":
		return one(kindDestination)
	default:
		return scope{kind: kindTotal, ids: []uint32{0}}, true
	}
}
