// Package lease is the contract of exclusive ownership: at most one process
// holds the lease of a thing at a time, and each holder can be told from those
// before it. The package lease/local holds it by a lock on one machine,
// lease/consul through a Consul cluster, for as long as the holder renews it.
package lease

import (
	"context"
	"errors"
	"time"
)

// ErrHeld is wrapped by the errors of an acquisition that failed because another
// process holds the lease.
var ErrHeld = errors.New("held by another process")

// ErrLost is wrapped by the errors of methods that need the lease, once it is
// lost or closed.
var ErrLost = errors.New("lease lost")

// Lease is ownership that was acquired and lasts until Close, or until it is
// lost, for good. All methods are safe for concurrent use.
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
	Advance(ctx context.Context) (uint64, error)

	// TTL is how long the lease outlasts a holder that died or was cut off,
	// before another can acquire it; 0 if it ends with the holder.
	TTL() time.Duration

	// Done is closed when the lease is lost or closed. The holder must stop
	// writing at once and let go of what it owns. It is closed before another can
	// have acquired the lease, unless the process was kept from running.
	Done() <-chan struct{}

	// Held reports whether Done is still open and has reason to be. It asks the
	// clock, so it is right at once in a process that was frozen and has just
	// woken up, when nobody has had the time to close Done. It is cheap: ask before
	// each step that must be taken by the holder alone.
	Held() bool

	// Close gives the lease up, so that another process may acquire it. The
	// holder must have stopped writing. An error means that others may have to
	// wait for the TTL. A second Close does nothing.
	Close(ctx context.Context) error
}
