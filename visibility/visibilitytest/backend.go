// Package visibilitytest is the contract of visibility.Backend as tests.
package visibilitytest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"centrifuge/visibility"
)

// Backend tests an implementation. Each call of open opens what the last one left.
func Backend(t *testing.T, open func() visibility.Backend) {
	b := &tested{t, open()}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	long := bytes.Repeat([]byte("x\x00'\\\xff"), 1<<18)
	b.write(20000, visibility.Write{Put: []visibility.Entry{{Key: 9, Data: []byte("nine")}, {Key: 2, Data: []byte("two")}, {Key: 5, Data: []byte("five")}, {Key: 1 << 62}}})
	b.write(20001, visibility.Write{Put: []visibility.Entry{{Key: 5, Data: long}, {Key: 6, Data: long}, {Key: 7, Data: []byte{}}}})
	again := visibility.Write{
		Delete: []visibility.KeyRange{{From: 5, To: 9}},
		Put:    []visibility.Entry{{Key: 9, Data: []byte("new")}, {Key: 2, Data: []byte("2")}},
	}
	b.write(20000, again)
	for range 2 {
		b.write(20000, again) // as after an unknown outcome
		b.want(20000, 0, 1<<62, []uint64{2, 9, 1 << 62}, "2new")
		b.want(20000, 2, 9, []uint64{2, 9}, "2new")
		b.want(20000, 3, 8, nil, "")
		b.want(20001, 0, 1<<62, []uint64{5, 6, 7}, string(long)+string(long))
		b.want(20002, 0, 1<<62, nil, "")
		b.days(20000, 20001)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b.Backend = open()
	}
	b.fails()
	b.many()
	b.gather()
	for range 2 { // an earlier one goes
		if err := b.SetAside(t.Context(), 20001); err != nil {
			t.Fatal(err)
		}
		b.want(20001, 0, 1<<62, nil, "")
		b.days(19999, 20000)
		b.write(20001, visibility.Write{Put: []visibility.Entry{{Key: 8, Data: []byte("anew")}}})
		b.want(20001, 0, 1<<62, []uint64{8}, "anew")
	}
	for _, d := range []visibility.Day{19999, 20000, 20001, 20002} {
		if err := b.Drop(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		b.want(d, 0, 1<<62, nil, "")
	}
	b.days()
}

type tested struct {
	t *testing.T
	visibility.Backend
}

func (b *tested) write(d visibility.Day, w visibility.Write) {
	b.t.Helper()
	if err := b.Write(b.t.Context(), d, &w); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tested) days(want ...visibility.Day) {
	b.t.Helper()
	if days, err := b.Days(b.t.Context()); err != nil || !slices.Equal(days, want) {
		b.t.Errorf("days %v, %v; want %v", days, err, want)
	}
}

func (b *tested) want(d visibility.Day, from, to uint64, want []uint64, text string) {
	b.t.Helper()
	var (
		keys []uint64
		all  []byte
	)
	err := b.Scan(b.t.Context(), d, from, to, func(key uint64, data []byte) error {
		keys, all = append(keys, key), append(all, data...)
		return nil
	})
	if err != nil || !slices.Equal(keys, want) || string(all) != text {
		b.t.Errorf("read %v with %d bytes, %v; want %v with %d", keys, len(all), err, want, len(text))
	}
}

// fails has a callback end a scan, which returns its error.
func (b *tested) fails() {
	b.t.Helper()
	fault, calls := errors.New("enough"), 0
	err := b.Scan(b.t.Context(), 20000, 0, 9, func(uint64, []byte) error { calls++; return fault })
	if !errors.Is(err, fault) || calls != 1 {
		b.t.Errorf("%d calls, %v", calls, err)
	}
}

// many writes more entries than are sent at once.
func (b *tested) many() {
	b.t.Helper()
	var (
		w    visibility.Write
		keys []uint64
		text []byte
	)
	for key := range uint64(2501) {
		w.Put = append(w.Put, visibility.Entry{Key: key, Data: []byte{byte(key)}})
		keys, text = append(keys, key), append(text, byte(key))
	}
	b.write(19999, w)
	b.want(19999, 0, 1<<62, keys, string(text))
}

// gather reads what many wrote, and of the other days, at one go. Among the days are
// such as there is nothing of.
func (b *tested) gather() {
	b.t.Helper()
	g, ok := b.Backend.(visibility.Gatherer)
	if !ok {
		return
	}
	var parts []visibility.Part
	for key := uint64(0); key < 2501; key += 2 {
		parts = append(parts, visibility.Part{Day: 19999, From: key, To: key})
	}
	parts = append(parts, visibility.Part{Day: 20000, From: 3, To: 9}, visibility.Part{Day: 20001, From: 6, To: 7}, visibility.Part{Day: 20000, From: 0, To: 2})
	without := len(parts)
	for d := range visibility.Day(70) {
		parts = append(parts, visibility.Part{Day: 30000 + d, From: 0, To: 1 << 62})
	}
	for _, n := range []int{0, without, len(parts)} {
		got := make(map[visibility.Part]int)
		err := g.Gather(b.t.Context(), parts[:n], func(d visibility.Day, key uint64, data []byte) error {
			got[visibility.Part{Day: d, From: key, To: uint64(len(data))}]++
			return nil
		})
		want := make(map[visibility.Part]int)
		for i := uint64(0); i < 2501 && n > 0; i += 2 {
			want[visibility.Part{Day: 19999, From: i, To: 1}] = 1
		}
		if n > 0 {
			want[visibility.Part{Day: 20000, From: 2, To: 1}] = 1
			want[visibility.Part{Day: 20000, From: 9, To: 3}] = 1
			want[visibility.Part{Day: 20001, From: 6, To: 5 << 18}] = 1
			want[visibility.Part{Day: 20001, From: 7, To: 0}] = 1
		}
		if err != nil || !maps.Equal(got, want) {
			b.t.Errorf("of %d parts: %d entries, %v; want %d", n, len(got), err, len(want))
		}
	}
	fault, calls := errors.New("enough"), 0
	err := g.Gather(b.t.Context(), parts, func(visibility.Day, uint64, []byte) error { calls++; return fault })
	if !errors.Is(err, fault) || calls != 1 {
		b.t.Errorf("%d calls, %v", calls, err)
	}
}
