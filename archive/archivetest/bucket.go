// Package archivetest is the conformance suite that every [archive.Bucket]
// passes, and two buckets for tests: one in memory and one that fails on demand.
package archivetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"centrifuge/archive"
)

// Open opens the bucket at a place. Every place is empty at first and apart from
// all others; to open it twice gives the same objects. Open releases the bucket
// when the test ends.
type Open func(t *testing.T, place string) archive.Bucket

// Run checks that what open returns keeps the contract of [archive.Bucket].
func Run(t *testing.T, open Open) {
	t.Run("put and get", func(t *testing.T) { testPutGet(t, open) })
	t.Run("put replaces", func(t *testing.T) { testReplace(t, open) })
	t.Run("missing", func(t *testing.T) { testMissing(t, open) })
	t.Run("list", func(t *testing.T) { testList(t, open) })
	t.Run("list ends early", func(t *testing.T) { testListBreak(t, open) })
	t.Run("hostile names", func(t *testing.T) { testHostileNames(t, open) })
	t.Run("data is not shared", func(t *testing.T) { testAliasing(t, open) })
	t.Run("opened again", func(t *testing.T) { testReopen(t, open) })
	t.Run("no part is seen", func(t *testing.T) { testAtomic(t, open) })
	t.Run("cancelled", func(t *testing.T) { testCancelled(t, open) })
}

func testPutGet(t *testing.T, open Open) {
	b := open(t, "put-get")
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, data := range map[string][]byte{
		"empty":                          {},
		"2026/11/22/20/x.y_z-1.data":     every,
		"large":                          bytes.Repeat(every, 16<<10),
		strings.Repeat("long-name/", 20): nil,
	} {
		name = strings.TrimSuffix(name, "/")
		mustPut(t, b, name, data)
		if got := mustGet(t, b, name); !bytes.Equal(got, data) {
			t.Errorf("get %s: %d bytes unlike the %d that were put", name, len(got), len(data))
		}
	}
}

func testReplace(t *testing.T, open Open) {
	b := open(t, "replace")
	for _, data := range []string{"first, and longer", "second", "second", ""} {
		mustPut(t, b, "a/b", []byte(data))
		if got := mustGet(t, b, "a/b"); string(got) != data {
			t.Errorf("get after put: %q, want %q", got, data)
		}
	}
	if got := mustList(t, b, "", ""); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("list = %v, want one name", got)
	}
}

func testMissing(t *testing.T, open Open) {
	b := open(t, "missing")
	mustPut(t, b, "a/b/c", []byte("x"))
	for _, name := range []string{"a", "a/b", "a/b/d", "z", "a/b/c/d"} {
		data, err := b.Get(t.Context(), name)
		if err == nil {
			t.Errorf("get %s = %q, want an error", name, data)
		}
		if name == "a/b/d" || name == "z" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("get %s: %v, want fs.ErrNotExist", name, err)
			}
		}
	}
	if got := mustList(t, open(t, "missing-all"), "", ""); len(got) != 0 {
		t.Errorf("list of an empty bucket = %v", got)
	}
}

func testList(t *testing.T, open Open) {
	b := open(t, "list")
	// In the order of bytes '-' < '.' < '/' < digits, unlike a walk of folders.
	names := []string{"a-b/x", "a.b", "a/b", "a/c-1", "a/c.1", "a/c/1", "a/c0", "a0", "b/c/d/e", "b/c/e"}
	for _, name := range slices.Backward(names) {
		mustPut(t, b, name, []byte(name))
	}
	if !slices.IsSorted(names) {
		t.Fatal("the names of this test are not in order")
	}
	bounds := append([]string{"", "a", "a/", "a/c", "a/c/", "b/c/d", "b/c~", "zz", "\x00", "\xff"}, names...)
	for _, prefix := range bounds {
		for _, after := range bounds {
			var want []string
			for _, name := range names {
				if strings.HasPrefix(name, prefix) && name > after {
					want = append(want, name)
				}
			}
			if got := mustList(t, b, prefix, after); !slices.Equal(got, want) {
				t.Errorf("list %q after %q = %v, want %v", prefix, after, got, want)
			}
		}
	}
}

func testListBreak(t *testing.T, open Open) {
	b := open(t, "break")
	for i := range 5 {
		mustPut(t, b, fmt.Sprintf("f%d/o", i), nil)
	}
	var got []string
	for name, err := range b.List(t.Context(), "", "f0/o") {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, name); len(got) == 2 {
			break
		}
	}
	if want := []string{"f1/o", "f2/o"}; !slices.Equal(got, want) {
		t.Errorf("list = %v, want %v", got, want)
	}
}

func testHostileNames(t *testing.T, open Open) {
	b := open(t, "hostile")
	for _, name := range []string{
		"", ".", "..", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", ".tmp/a", "a/.hidden",
		`a\b`, `..\x`, "a\x00b", "a\nb", "a b", "a:b", "C:/x", "é", "\xff", "a?b", "a*", "%2e%2e/x",
		strings.Repeat("a", 513),
	} {
		if err := b.Put(t.Context(), name, []byte("x")); err == nil {
			t.Errorf("put %q was accepted", name)
		}
		if _, err := b.Get(t.Context(), name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("get %q: %v, want the name refused", name, err)
		}
	}
	if got := mustList(t, b, "", ""); len(got) != 0 {
		t.Errorf("refused names left %v", got)
	}
}

func testAliasing(t *testing.T, open Open) {
	b := open(t, "aliasing")
	data := []byte("as it was")
	mustPut(t, b, "a", data)
	copy(data, "XXXXX")
	first := mustGet(t, b, "a")
	copy(first, "YYYYY")
	if got := mustGet(t, b, "a"); string(got) != "as it was" {
		t.Errorf("get = %q: it changed with the caller's slices", got)
	}
}

func testReopen(t *testing.T, open Open) {
	mustPut(t, open(t, "one"), "a/b", []byte("x"))
	if got := mustGet(t, open(t, "one"), "a/b"); string(got) != "x" {
		t.Errorf("get from the bucket opened again = %q", got)
	}
	if got := mustList(t, open(t, "two"), "", ""); len(got) != 0 {
		t.Errorf("another bucket has %v", got)
	}
}

// testAtomic has two writers replace one object by turns while readers look: each
// of them sees all of one or all of the other.
func testAtomic(t *testing.T, open Open) {
	b := open(t, "atomic")
	mustPut(t, b, "dir/object", bytes.Repeat([]byte{0}, 64<<10))
	g, ctx := errgroup.WithContext(t.Context())
	for n := range 2 {
		g.Go(func() error {
			for i := range 20 {
				if err := b.Put(ctx, "dir/object", bytes.Repeat([]byte{byte(n)}, 64<<10+i)); err != nil {
					return err
				}
			}
			return nil
		})
		g.Go(func() error {
			for range 50 {
				data, err := b.Get(ctx, "dir/object")
				if err != nil {
					return err
				}
				if len(data) < 64<<10 || bytes.Count(data, data[:1]) != len(data) {
					return fmt.Errorf("a reader saw a part: %d bytes", len(data))
				}
				for name, err := range b.List(ctx, "", "") {
					if err != nil {
						return err
					}
					if name != "dir/object" {
						return fmt.Errorf("a reader saw %s", name)
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func testCancelled(t *testing.T, open Open) {
	b := open(t, "cancelled")
	mustPut(t, b, "a", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "b", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want context.Canceled", err)
	}
	if _, err := b.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v, want context.Canceled", err)
	}
	for name, err := range b.List(ctx, "", "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("list: %s, %v, want context.Canceled", name, err)
		}
	}
}

func mustPut(t *testing.T, b archive.Bucket, name string, data []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, data); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func mustGet(t *testing.T, b archive.Bucket, name string) []byte {
	t.Helper()
	data, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	return data
}

func mustList(t *testing.T, b archive.Bucket, prefix, after string) []string {
	t.Helper()
	var names []string
	for name, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		names = append(names, name)
	}
	return names
}
