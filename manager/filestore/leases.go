package filestore

import (
	"context"

	"centrifuge/lease"
	"centrifuge/lease/local"
	"centrifuge/manager"
)

// Leases gives leases of JobDBs within the process that holds the folder's. It
// implements [manager.Leases].
type Leases struct{ folder *local.Lease }

var _ manager.Leases = (*Leases)(nil)

// NewLeases returns the leases within a folder.
func NewLeases(folder *local.Lease) *Leases { return &Leases{folder} }

// Acquire implements [manager.Leases].
func (l *Leases) Acquire(_ context.Context, name string) (lease.Lease, error) {
	part, err := l.folder.Part(name)
	if err != nil {
		return nil, err // not a nil *Part in an interface
	}
	return part, nil
}

// Held implements [manager.Leases].
func (l *Leases) Held(context.Context) (map[string]bool, error) {
	held := make(map[string]bool)
	for _, name := range l.folder.Parts() {
		held[name] = true
	}
	return held, nil
}

// Forget implements [manager.Leases]: the folder keeps nothing of a lease but its
// epoch, which is that of all.
func (l *Leases) Forget(context.Context, string) error { return nil }
