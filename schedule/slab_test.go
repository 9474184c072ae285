package schedule

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestListsAgainstModel keeps several lists of one slab against slices.
func TestListsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s slab
		lists := make([]list, 4)
		models := make([][]item, len(lists))
		which := rapid.IntRange(0, len(lists)-1)
		made := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				l := which.Draw(t, "list")
				for range rapid.IntRange(1, 10).Draw(t, "n") {
					made++
					it := item{id: numbered(made), expire: rapid.Uint32Range(0, 20).Draw(t, "expire")}
					s.push(&lists[l], it)
					models[l] = append(models[l], it)
				}
			},
			"pop": func(t *rapid.T) {
				l := which.Draw(t, "list")
				for range rapid.IntRange(1, 10).Draw(t, "n") {
					first, there := s.first(&lists[l])
					it, ok := s.pop(&lists[l])
					if there != ok || first != it || ok != (len(models[l]) > 0) {
						t.Fatalf("pop: got %v %v after %v %v with %d in the list", it, ok, first, there, len(models[l]))
					}
					if !ok {
						return
					}
					if it != models[l][0] {
						t.Fatalf("pop: got %v, want %v", it, models[l][0])
					}
					models[l] = models[l][1:]
				}
			},
			"splice": func(t *rapid.T) {
				to, from := which.Draw(t, "to"), which.Draw(t, "from")
				if to == from {
					t.Skip("onto itself")
				}
				s.splice(&lists[to], &lists[from])
				models[to] = append(models[to], models[from]...)
				models[from] = nil
			},
			"extract": func(t *rapid.T) {
				l, until := which.Draw(t, "list"), rapid.Uint32Range(0, 20).Draw(t, "tick")
				var got, want, kept []item
				odd := func(it item) bool { return it.id[19]&1 == 1 }
				earliest := s.extract(&lists[l], until, func(it item) bool {
					if odd(it) {
						got = append(got, it)
					}
					return odd(it)
				})
				least := uint32(math.MaxUint32)
				for _, it := range models[l] {
					if it.expire <= until && odd(it) {
						want = append(want, it)
						continue
					}
					kept = append(kept, it)
					least = min(least, it.expire)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("extract: got %v, want %v", got, want)
				}
				if earliest > least || (until >= least && earliest != least) {
					t.Fatalf("extract: earliest %d, want at most %d", earliest, least)
				}
				models[l] = kept
			},
			"": func(t *rapid.T) {
				for l := range lists {
					if int(lists[l].n) != len(models[l]) {
						t.Fatalf("list %d has %d items, want %d", l, lists[l].n, len(models[l]))
					}
				}
			},
		})
	})
}

func TestSlabGivesMemoryBack(t *testing.T) {
	var s slab
	var l list
	const n = 10 * pageBlocks * blockItems
	for round := range 3 {
		for i := range n {
			s.push(&l, item{id: numbered(i)})
		}
		if got := s.held(); got != 10 && got != 11 {
			t.Errorf("round %d: %d pages for ten pages of items, want 10 or 11", round, got)
		}
		for i := range n {
			if it, ok := s.pop(&l); !ok || it.id != numbered(i) {
				t.Fatalf("round %d: pop %d: got %v %v", round, i, it.id, ok)
			}
		}
		if got := s.held(); got != 1 {
			t.Errorf("round %d: an empty slab holds %d pages, want 1", round, got)
		}
	}
	if len(s.pages) > 11 || len(s.open) > 100 {
		t.Errorf("the slab's own books grew to %d and %d entries", len(s.pages), len(s.open))
	}
}

// held counts the pages that are in memory.
func (s *slab) held() (n int) {
	for _, p := range s.pages {
		if p != nil {
			n++
		}
	}
	return n
}
