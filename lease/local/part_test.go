package local_test

import (
	"errors"
	"slices"
	"testing"

	"centrifuge/lease"
	"centrifuge/lease/local"
)

func TestParts(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	folder, err := local.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := folder.Part("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Part("a"); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("leased twice: %v", err)
	}
	b, err := folder.Part("b")
	if err != nil {
		t.Fatal(err)
	}
	if a.Epoch() == 0 || b.Epoch() <= a.Epoch() {
		t.Errorf("epochs %d and %d", a.Epoch(), b.Epoch())
	}
	last := b.Epoch()
	if epoch, err := a.Advance(ctx); err != nil || epoch <= last || a.Epoch() != epoch || b.Epoch() != last {
		t.Errorf("advanced to %d, %v; a has %d, b has %d", epoch, err, a.Epoch(), b.Epoch())
	}
	if names := folder.Parts(); len(names) != 2 || !slices.Contains(names, "b") {
		t.Errorf("leased are %v", names)
	}

	if err := a.Close(ctx); err != nil || a.Held() || !b.Held() {
		t.Errorf("closed: %v; a is held: %t, b: %t", err, a.Held(), b.Held())
	}
	<-a.Done()
	if _, err := a.Advance(ctx); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a closed one was advanced: %v", err)
	}
	again, err := folder.Part("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(ctx); err != nil || !again.Held() {
		t.Errorf("a second Close took the next holder's: %v", err)
	}
	if _, err := folder.Part("a"); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("leased twice after a second Close: %v", err)
	}

	if err := folder.Close(ctx); err != nil {
		t.Fatal(err)
	}
	<-again.Done()
	<-b.Done()
	if again.Held() || b.Held() {
		t.Error("parts are held without the folder")
	}
	if _, err := folder.Part("c"); !errors.Is(err, lease.ErrLost) {
		t.Errorf("leased without the folder: %v", err)
	}
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
	next, err := local.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if next.Epoch() <= again.Epoch() {
		t.Errorf("the next holder has epoch %d after %d", next.Epoch(), again.Epoch())
	}
	if err := next.Close(ctx); err != nil {
		t.Error(err)
	}
}
