package visibility_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"centrifuge/visibility"
)

// Notes are kept over a restart in their order, and go with their days.
func TestNotes(t *testing.T) { onEach(t, testNotes) }

func testNotes(t *testing.T, at place) {
	open := at(t, t.TempDir())
	var store *visibility.Store
	reopen := func() {
		t.Helper()
		if store != nil {
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if store, err = visibility.OpenStore(t.Context(), visibility.StoreOptions{Backend: open()}); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	t.Cleanup(func() { store.Close() })
	long := bytes.Repeat([]byte("a note "), 100_000)
	add := func(at time.Time, note []byte) {
		t.Helper()
		if err := store.AddNote(t.Context(), at, note); err != nil {
			t.Fatal(err)
		}
	}
	want := func(days int, want ...string) {
		t.Helper()
		notes, err := store.LatestNotes(t.Context(), days)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range notes {
			got = append(got, n.Day.String()+" "+string(n.Data))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the notes of %d days are %.200q, want %.200q", days, got, want)
		}
	}
	day := func(n int) string { return visibility.DayOf(start.AddDate(0, 0, n)).String() + " " }
	want(2)
	add(start.AddDate(0, 0, -3), []byte("old"))
	add(start.AddDate(0, 0, -1), long)
	add(start, nil)
	reopen()
	for i := range 20 {
		add(start, []byte{byte('a' + i)})
	}
	of := []string{day(0)}
	for i := range 20 {
		of = append(of, day(0)+string(rune('a'+i)))
	}
	want(1, of...)
	reopen()
	want(1, of...)
	want(2, append([]string{day(-1) + string(long)}, of...)...)
	want(9, append([]string{day(-3) + "old", day(-1) + string(long)}, of...)...)
}
