package sim

import (
	"context"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
)

// A simulation on a JobDB that breaks the contract would prove nothing.
func TestMemoryKeepsTheContract(t *testing.T) {
	jobdbtest.Run(t, func(testing.TB) jobdbtest.Open {
		m := newMemory()
		return func(_ context.Context, epoch uint64) (jobdb.DB, error) { return m.open(epoch) }
	})
}
