package visibility

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// However values come to a sketch - one by one, many at once, from another sketch or
// from what one wrote - it has them all, in whichever form it keeps them.
func TestSketchHasWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s, other sketch
		want, wantOther := map[int]uint64{}, map[int]uint64{}
		check := func() {
			got := map[int]uint64{}
			last := -1
			s.each(func(bin int, count uint64) {
				if bin <= last || count == 0 {
					t.Fatalf("bin %d with %d after bin %d", bin, count, last)
				}
				last, got[bin] = bin, count
			})
			if !maps.Equal(got, want) {
				t.Fatalf("the sketch has %v, want %v", got, want)
			}
		}
		bin := rapid.IntRange(0, 20)
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"add": func(t *rapid.T) {
				b, n := bin.Draw(t, "bin"), rapid.SampledFrom([]int{1, 1, 1, 1, 5}).Draw(t, "count")
				s.add(b, float64(n))
				want[b] += uint64(n)
			},
			"add to the other": func(t *rapid.T) {
				b := bin.Draw(t, "bin")
				other.add(b, 1)
				wantOther[b]++
			},
			"merge": func(*rapid.T) {
				s.merge(&other)
				for b, n := range wantOther {
					want[b] += n
				}
			},
			"read": func(t *rapid.T) {
				r := reader{b: other.append(nil)}
				s.read(&r)
				if r.err != nil || r.more() {
					t.Fatalf("read: %v, more %v", r.err, r.more())
				}
				for b, n := range wantOther {
					want[b] += n
				}
			},
			"reset": func(*rapid.T) {
				s.reset()
				clear(want)
			},
			"quantiles": func(t *rapid.T) {
				scale, err := newScale()
				if err != nil {
					t.Fatal(err)
				}
				var all []int
				for b, n := range want {
					for range n {
						all = append(all, b)
					}
				}
				slices.Sort(all)
				q := s.quantiles(scale)
				if q.Count != int64(len(all)) {
					t.Fatalf("%d values, want %d", q.Count, len(all))
				}
				if len(all) > 0 && q.P50 != scale.duration(all[(len(all)-1)/2]) {
					t.Fatalf("median %v, want that of bin %d", q.P50, all[(len(all)-1)/2])
				}
			},
		})
	})
}
