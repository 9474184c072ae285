package jobdb

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"centrifuge"
)

// Pool is where JobDBs lie: a folder of SQLite files, or MySQL servers. A JobDB in
// it has a name that [Name] made, unique in the whole pool and never given twice.
// All methods are safe for concurrent use, but the caller sees to it, by a lease,
// that nobody drops what another one has open.
type Pool interface {
	// Servers returns the servers, in a fixed order, each with the JobDBs that lie
	// on it and nothing else that may lie there. One that does not answer is there
	// all the same, with the reason, and does not keep the others from answering.
	// Whatever is left of a JobDB whose Drop was cut short is listed too. It fails
	// only if ctx ends.
	Servers(ctx context.Context) ([]Server, error)

	// Create makes an empty JobDB, durable when it returns, unless there is one of
	// the name. After an error it may be there or not.
	Create(ctx context.Context, server, name string) error

	// Open opens the JobDB under an epoch, with the errors and the guarantees of
	// [DB]. It makes one if there is none.
	Open(ctx context.Context, server, name string, epoch uint64) (DB, error)

	// Read opens the JobDB to be looked at, whoever owns it and goes on writing to
	// it: no epoch is recorded, nothing is written, and none is made if there is
	// none. What was committed before a call to the Reader is seen by it.
	Read(ctx context.Context, server, name string) (Reader, error)

	// Drop removes the JobDB with all that is in it, if there is one. After an
	// error it may be there, whole or in part, and can be dropped again.
	Drop(ctx context.Context, server, name string) error
}

// Reader looks at a JobDB that others may own. All methods are safe for concurrent
// use.
type Reader interface {
	// Trace is that of [Jobs].
	Trace(ctx context.Context, id centrifuge.ID) (Trace, error)

	// Mark tells how far the JobDB was written.
	Mark(ctx context.Context) (Mark, error)

	// Close waits for calls under way.
	Close() error
}

// Mark is how far a JobDB was written: two that are equal are of one JobDB in which
// nothing was written between them, and to which no former state was put back.
type Mark struct {
	Epoch uint64 `json:"epoch"` // of its last owner
	Seq   uint64 `json:"seq"`   // of its last transition; 0 if it has none
}

// Server is a place in a Pool.
type Server struct {
	Name  string
	Err   error  // why it did not answer; then Files says nothing
	Files []File // by name
}

// File is a JobDB as its server sees it.
type File struct {
	Name  string
	Bytes int64 // it takes there, as far as the server knows
}

const namePrefix = "jobdb-"

// Name is the name of the JobDB with the number, from 1: jobdb-000001.
func Name(number uint64) string { return fmt.Sprintf("%s%06d", namePrefix, number) }

// Number is that of the JobDB called name; false if no JobDB is called so.
func Number(name string) (number uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && number > 0 && Name(number) == name
}
