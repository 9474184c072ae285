package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

func TestHeapAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ids = 50
		h := heap[int64]{place: new(places), column: columnTimer}
		h.place.cover(ids)
		model := map[uint32]int64{}
		draw := func(t *rapid.T) (uint32, int64) {
			return rapid.Uint32Range(0, ids).Draw(t, "id"), rapid.Int64Range(0, 100).Draw(t, "key")
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				id, key := draw(t)
				h.set(id, key)
				model[id] = key
			},
			"advance": func(t *rapid.T) {
				id, key := draw(t)
				h.advance(id, key)
				if was, ok := model[id]; !ok || key < was {
					model[id] = key
				}
			},
			"remove": func(t *rapid.T) {
				id, _ := draw(t)
				h.remove(id)
				delete(model, id)
			},
			"": func(t *rapid.T) {
				if h.len() != len(model) {
					t.Fatalf("%d entries, want %d", h.len(), len(model))
				}
				for id, key := range model {
					if !h.has(id) || h.key(id) != key {
						t.Fatalf("%d is not there at %d", id, key)
					}
					if h.top().key > key {
						t.Fatalf("the top is %d, above %d", h.top().key, key)
					}
				}
			},
		})
	})
}
