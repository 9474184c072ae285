package signin

import (
	"fmt"
	"testing"
	"time"
)

func TestGuessingIsSlowedDown(t *testing.T) {
	h, c := build(t, nil), browser(t)
	for range failureBurst {
		if status, _ := h.signIn(t, c, "wrong", "/"); status != 401 {
			t.Fatalf("got %d", status)
		}
	}
	if status, _ := h.signIn(t, c, "admin-token", "/"); status != 429 {
		t.Errorf("after %d failures: got %d", failureBurst, status)
	}
	if status, _ := h.get(t, c, "/customer/x"); status != 429 {
		t.Errorf("a link after %d failures: got %d", failureBurst, status)
	}
	h.later(failureEvery)
	if status, _ := h.signIn(t, c, "admin-token", "/"); status != 200 {
		t.Errorf("after a wait: got %d", status)
	}
}

func TestFailuresAreCountedByNetwork(t *testing.T) {
	now := time.Now()
	f := newFailures()
	for range failureBurst {
		f.add("2001:db8::1", now)
	}
	for host, want := range map[string]bool{
		"2001:db8::2": true, "2001:db8:0:1::1": false, "192.0.2.1": false, "": false, "nonsense": false,
	} {
		if f.tooMany(host, now) != want {
			t.Errorf("%q: %t", host, !want)
		}
	}
	for i := range 2 * maxFailing {
		f.add(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if n := len(f.mu.by); n > maxFailing {
		t.Errorf("%d addresses are remembered", n)
	}
}
