package manager

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"centrifuge/jobdb"
)

// Record is what the catalog knows of a JobDB. Its fields say what was true when
// its state was entered, unless they say otherwise.
type Record struct {
	Name   string `json:"name"`
	Server string `json:"server"` // of the pool
	State  State  `json:"state"`

	// Owner is the Director that owns it, or did last.
	Owner string `json:"owner,omitempty"`

	// Target is, while it is draining, the JobDB that its unfinished jobs go to. All
	// of them that have left and are not logged as moved yet went there.
	Target string `json:"target,omitempty"`

	// Since is when each state was entered, for the last time.
	Since map[State]time.Time `json:"since"`

	// Ledger is that of the JobDB when it was released, zero if nobody could tell
	// then; and for good when it was drained.
	Ledger Ledger `json:"ledger"`

	// Known says that Ledger is the JobDB's, and not a zero that nobody counted.
	Known bool `json:"known"`

	// Mark is how far it was written when it was drained. What has another mark is
	// not what was drained, and is not dropped.
	Mark jobdb.Mark `json:"mark,omitzero"`

	// Through makes this the sum of several records: of all up to the JobDB of this
	// number, each dropped. The catalog has one such record at most, see [fold].
	Through uint64 `json:"through,omitempty"`

	// Revision is the catalog's, see Catalog.Put.
	Revision uint64 `json:"-"`
}

// enter puts the record into a state, if it may follow the one that it is in.
func (r *Record) enter(s State, now time.Time) error {
	if err := r.State.mayBecome(s); err != nil {
		return err
	}
	since := make(map[State]time.Time, len(r.Since)+1) // r may be a copy of another
	maps.Copy(since, r.Since)
	since[s] = now.UTC().Truncate(time.Millisecond)
	r.State, r.Since = s, since
	return nil
}

// number is that of the JobDB.
func (r *Record) number() uint64 {
	n, _ := jobdb.Number(r.Name)
	return n
}

// CompareNames orders JobDBs by their numbers, for slices.SortFunc; what has no
// number comes first.
func CompareNames(a, b string) int {
	m, _ := jobdb.Number(a)
	n, _ := jobdb.Number(b)
	return cmp.Or(cmp.Compare(m, n), cmp.Compare(a, b))
}

// find returns the record of a JobDB, nil if there is none.
func find(records []Record, name string) *Record {
	for i := range records {
		if records[i].Name == name {
			return &records[i]
		}
	}
	return nil
}

// isTarget reports whether unfinished jobs of another JobDB go to this one, or
// went there and are not all logged as moved.
func isTarget(records []Record, name string) bool {
	return slices.ContainsFunc(records, func(r Record) bool { return r.State == StateDraining && r.Target == name })
}
