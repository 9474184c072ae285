package schedule

import (
	"encoding/binary"
	"math"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"centrifuge"
)

func TestItemSize(t *testing.T) {
	if size := unsafe.Sizeof(item{}); size != 32 {
		t.Errorf("an item takes %d bytes, want 32", size)
	}
}

func numbered(n int) (id centrifuge.ID) {
	binary.BigEndian.PutUint64(id[12:], uint64(n))
	return id
}

const plenty = math.MaxInt

// TestWheelAgainstModel adds items at any distance and turns the wheel by any
// distance, forward and back.
func TestWheelAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &wheel{slab: &slab{}, hand: 2_000_000}
		now := w.hand
		waiting := map[centrifuge.ID]uint32{}
		made := 0
		span := rapid.Custom(func(t *rapid.T) uint32 {
			most := rapid.SampledFrom([]uint32{3, 60, 10_000, wheelSeconds * secondTicks, 1_000_000}).Draw(t, "up to")
			return rapid.Uint32Range(0, most).Draw(t, "ticks")
		})
		take := func(budget int) {
			for {
				it, ok := w.next(now, &budget)
				if !ok {
					return
				}
				if due, ok := waiting[it.id]; !ok || due > now {
					t.Fatalf("at %d: item %v came, due at %d (%v)", now, it.id, due, ok)
				}
				delete(waiting, it.id)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				made++
				due := now + span.Draw(t, "wait")
				if rapid.Bool().Draw(t, "late") {
					due = now - min(now, span.Draw(t, "by"))
				}
				w.add(item{id: numbered(made), due: due, expire: maxTick})
				waiting[numbered(made)] = due
			},
			"turn":      func(t *rapid.T) { now += span.Draw(t, "by") },
			"take some": func(t *rapid.T) { take(rapid.IntRange(0, 5).Draw(t, "budget")) },
			"take all": func(t *rapid.T) {
				take(plenty)
				for id, due := range waiting {
					if due <= now {
						t.Fatalf("at %d: item %v did not come, due at %d", now, id, due)
					}
				}
				earliest, ok := w.earliest()
				if ok != (len(waiting) > 0) {
					t.Fatalf("earliest: got %v with %d waiting", ok, len(waiting))
				}
				for _, due := range waiting {
					if uint64(due) < earliest {
						t.Fatalf("earliest: got %d, want at most %d", earliest, due)
					}
				}
			},
			"turn back": func(t *rapid.T) {
				now = w.hand - min(w.hand, span.Draw(t, "by"))
				w.rewind(now)
			},
			"extract": func(t *rapid.T) {
				odd := func(it item) bool { return it.id[19]&1 == 1 }
				n := 0
				for id := range waiting {
					if id[19]&1 == 1 {
						n++
					}
				}
				w.extract(n, func(it item) bool {
					if odd(it) {
						delete(waiting, it.id)
						n--
						return true
					}
					return false
				})
				if n != 0 {
					t.Fatalf("extract left %d items", n)
				}
			},
		})
		now = math.MaxUint32
		take(plenty)
		if len(waiting) > 0 {
			t.Fatalf("%d items never came: %v", len(waiting), waiting)
		}
		if w.spread != 0 || w.occupied != [wheelSeconds / 64]uint64{} {
			t.Fatal("the empty wheel does not know that it is empty")
		}
	})
}

// A jump of years over an almost empty wheel must not visit every second.
func TestWheelJumpsFar(t *testing.T) {
	w := &wheel{slab: &slab{}}
	w.add(item{id: numbered(1), due: math.MaxUint32, expire: maxTick})
	budget := math.MaxUint32/(wheelSeconds*secondTicks) + 3 // once a round, and once to come out
	if _, ok := w.next(math.MaxUint32, &budget); !ok {
		t.Error("the item did not come within a move for each round")
	}
}
