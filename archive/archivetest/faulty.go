package archivetest

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"centrifuge/archive"
)

// ErrInjected is wrapped by the errors that [Faulty] makes.
var ErrInjected = errors.New("injected fault")

// Fault is what goes wrong in one call of a Bucket.
type Fault int

// The faults. Get and List fail alike with either.
const (
	FaultNone Fault = iota
	FaultLost       // the call failed and what it should put did not persist
	FaultKept       // the call failed, but what it should put did persist
)

// Op names a method of a Bucket.
type Op string

// The methods of a Bucket.
const (
	OpPut  Op = "put"
	OpGet  Op = "get"
	OpList Op = "list"
)

// Faulty is a Bucket that fails when Decide says so. It is as safe for
// concurrent use as Decide and the Bucket are.
type Faulty struct {
	Bucket archive.Bucket
	Decide func(op Op, name string) Fault // of the prefix for List
}

// Put implements [archive.Bucket].
func (f *Faulty) Put(ctx context.Context, name string, data []byte) error {
	fault := f.Decide(OpPut, name)
	if fault == FaultLost {
		return injected(OpPut, name)
	}
	if err := f.Bucket.Put(ctx, name, data); err != nil {
		return err
	}
	if fault == FaultKept {
		return injected(OpPut, name)
	}
	return nil
}

// Get implements [archive.Bucket].
func (f *Faulty) Get(ctx context.Context, name string) ([]byte, error) {
	if f.Decide(OpGet, name) != FaultNone {
		return nil, injected(OpGet, name)
	}
	return f.Bucket.Get(ctx, name)
}

// List implements [archive.Bucket].
func (f *Faulty) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	if f.Decide(OpList, prefix) != FaultNone {
		return func(yield func(string, error) bool) { yield("", injected(OpList, prefix)) }
	}
	return f.Bucket.List(ctx, prefix, after)
}

func injected(op Op, name string) error { return fmt.Errorf("%s %s: %w", op, name, ErrInjected) }
