package sim

import (
	"time"

	"centrifuge/jobdb/jobdbtest"
)

// What goes wrong with a JobDB or an archive, besides the operations that
// jobdbtest names.
const (
	opOpen    = "open"
	opPut     = "put"
	opGet     = "get"
	opList    = "list"
	opDiskLow = "disk low"
)

// spellOfFaults is a time in which a share of the calls of one operation fail.
type spellOfFaults struct {
	from, to time.Duration // since the beginning
	op       string
	fault    jobdbtest.Fault
	share    float64
}

// faults decides which calls fail.
type faults struct {
	began  time.Time
	spells []spellOfFaults
	throws *throws
}

func newFaults(p *plan) *faults {
	f := &faults{began: time.Now(), throws: newThrows(p.seed)}
	r := dice(p.seed, "faults")
	add := func(most int, op string, fault jobdbtest.Fault, share float64, longest time.Duration) {
		for range r.IntN(most + 1) {
			from := between(r, 0, p.faulty)
			f.spells = append(f.spells, spellOfFaults{
				from, min(p.faulty, from+between(r, time.Millisecond, longest)), op, fault, share,
			})
		}
	}
	add(2, jobdbtest.OpCommit, jobdbtest.Full, 1, time.Minute)
	add(2, jobdbtest.OpCommit, jobdbtest.Full, 0.5, time.Minute)
	add(2, jobdbtest.OpCommit, jobdbtest.Failed, 0.6, time.Minute)
	add(3, jobdbtest.OpCommit, jobdbtest.UnknownLost, 0.1, 3*time.Minute)
	add(3, jobdbtest.OpCommit, jobdbtest.UnknownKept, 0.1, 3*time.Minute)
	for _, op := range []string{
		jobdbtest.OpLoad, jobdbtest.OpTrace, jobdbtest.OpTransaction, jobdbtest.OpKnown, jobdbtest.OpPolicies, jobdbtest.OpScan, opOpen,
	} {
		add(1, op, jobdbtest.Failed, 0.3, 5*time.Minute)
	}
	add(1, jobdbtest.OpScanRow, jobdbtest.Failed, 0.02, 5*time.Minute)
	add(2, opPut, jobdbtest.UnknownKept, 0.5, 10*time.Minute)
	add(2, opPut, jobdbtest.UnknownLost, oneOf(r, 0.5, 1), oneOf(r, time.Minute, time.Minute, 10*time.Minute, 3*time.Hour))
	add(1, opGet, jobdbtest.Failed, 0.5, 10*time.Minute)
	add(1, opList, jobdbtest.Failed, 0.5, 10*time.Minute)
	add(2, opDiskLow, jobdbtest.Failed, 1, 10*time.Minute)
	return f
}

// strike is what goes wrong with this call of the operation.
func (f *faults) strike(op string) jobdbtest.Fault {
	at := time.Since(f.began)
	for _, s := range f.spells {
		if s.op == op && s.from <= at && at < s.to && happens(f.throws.next(op), s.share) {
			return s.fault
		}
	}
	return jobdbtest.NoFault
}
