package centrifuge_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"centrifuge"
)

func TestIDsIncreaseStrictly(t *testing.T) {
	ids := centrifuge.NewIDs(rand.Reader)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var last centrifuge.ID
	for i := range 10_000 {
		at := now.Add(time.Duration(i/1000) * time.Second)
		if i%7 == 3 {
			at = at.Add(-time.Hour) // the clock went back
		}
		id, err := ids.Next(at)
		if err != nil {
			t.Fatal(err)
		}
		if id.Compare(last) <= 0 {
			t.Fatalf("id %d: %s does not follow %s", i, id, last)
		}
		if got := id.Time(); got.Before(now) || got.After(now.Add(10*time.Second)) {
			t.Fatalf("id %d is of %v", i, got)
		}
		last = id
	}
}

func TestIDsReportWantOfRandomness(t *testing.T) {
	ids := centrifuge.NewIDs(bytes.NewReader(nil))
	if id, err := ids.Next(time.Unix(1.8e9, 0)); err == nil {
		t.Errorf("got %s without randomness", id)
	}
}

func TestIDText(t *testing.T) {
	id, err := centrifuge.NewIDs(rand.Reader).Next(time.Unix(1.8e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	text, err := id.MarshalText()
	if err != nil || string(text) != id.String() || len(text) != 27 {
		t.Fatalf("text %q of %s: %v", text, id, err)
	}
	var back centrifuge.ID
	if err := back.UnmarshalText(text); err != nil || back != id {
		t.Fatalf("read back as %s: %v", back, err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("!", 27), strings.Repeat("z", 27), id.String() + "0"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read as %s", bad, back)
		}
		if back != id {
			t.Errorf("a failed read of %q changed the id", bad)
		}
	}
	if _, err := centrifuge.ParseID("short"); errors.Unwrap(err) == nil {
		t.Errorf("the cause is not wrapped: %v", err)
	}
}
