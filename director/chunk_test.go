package director

import (
	"testing"

	"centrifuge/archive"
)

// A hundred of the largest payloads are more than one Submit may hold; a replay of
// them must still be possible.
func TestReplaySubmitsNoMoreThanASubmitMayHold(t *testing.T) {
	for _, test := range []struct {
		name  string
		sizes []int
		want  int
	}{
		{"one", []int{0}, 1},
		{"many small ones", make([]int, 250), replayChunk},
		{"one that is larger than the bound", []int{replayBytes + 1, 1}, 1},
		{"as many as fit", []int{replayBytes / 2, replayBytes / 2, 1}, 2},
	} {
		entries := make([]archive.Entry, len(test.sizes))
		for i, size := range test.sizes {
			entries[i].PayloadSize = size
		}
		if n := chunk(entries); n != test.want {
			t.Errorf("%s: %d at once, want %d", test.name, n, test.want)
		}
	}
}
