// Package lease is the contract of exclusive ownership: at most one process
// holds the lease of a thing at a time, and each holder can be told from those
// before it. The package lease/local holds it by a lock on one machine.
package lease

import "errors"

// ErrHeld is wrapped by the errors of an acquisition that failed because another
// process holds the lease.
var ErrHeld = errors.New("held by another process")

// Lease is ownership that was acquired and lasts until Close, or until Done is
// closed. All methods are safe for concurrent use.
//
// A holder may be late to learn that it lost the lease, so whatever it writes
// must carry its epoch, and the storage must refuse the epochs before the
// highest that it has seen.
type Lease interface {
	// Epoch is higher than the epoch of every holder before, at least 1. It was
	// durable before it was handed out, so no later holder has it again, whatever
	// becomes of this process or machine.
	Epoch() uint64

	// Advance raises the epoch and returns it, durable. A holder that opens its
	// storage once more, because it cannot tell what became of its last write,
	// thereby shuts out that write should it still be on its way.
	Advance() (uint64, error)

	// Done is closed when the lease is lost or closed. The holder must stop
	// writing at once and let go of what it owns.
	Done() <-chan struct{}

	// Close gives the lease up, so that another process may acquire it. The
	// holder must have stopped writing. A second Close does nothing.
	Close() error
}
