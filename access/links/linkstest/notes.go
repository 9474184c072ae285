// Package linkstest is the contract of links.Notes as tests.
package linkstest

import (
	"maps"
	"slices"
	"testing"

	"centrifuge/access/links"
)

// Notes tests an implementation that holds no notes yet. Both its arguments read and
// write the same.
func Notes(t *testing.T, a, b links.Notes) {
	ctx := t.Context()
	want := func(want map[string]string) {
		t.Helper()
		for _, n := range []links.Notes{a, b} {
			got, err := n.Read(ctx)
			if err != nil || !maps.EqualFunc(got, want, func(a []byte, b string) bool { return string(a) == b }) {
				t.Errorf("read %q, %v; want %q", got, err, want)
			}
		}
	}
	want(nil)
	all := map[string]string{"a.made": "1", "ab.made": "\x00\xff\n", "a.revoked": ""}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := a.Write(ctx, name, []byte(all[name])); err != nil {
			t.Fatal(err)
		}
	}
	want(all)
	for _, n := range []links.Notes{a, b} { // what is written stays
		if err := n.Write(ctx, "a.made", []byte("another")); err != nil {
			t.Errorf("written again: %v", err)
		}
	}
	want(all)
	for range 2 {
		if err := b.Remove(ctx, "a.made"); err != nil {
			t.Errorf("removed: %v", err)
		}
	}
	delete(all, "a.made")
	want(all)
}
