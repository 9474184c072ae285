package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/sqlite"
)

func TestConformance(t *testing.T) {
	jobdbtest.Run(t, func(t testing.TB) jobdbtest.Open {
		path := filepath.Join(t.TempDir(), "jobs.db")
		return func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
			return sqlite.Open(ctx, sqlite.Options{Path: path, Epoch: epoch})
		}
	})
}
