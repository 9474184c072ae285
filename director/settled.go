package director

import (
	"strings"
	"time"

	"centrifuge/jobdb"
)

// settledPrefix begins an id that no Submit can have.
const settledPrefix = "\x01settled "

// SettledID is the id of a transaction that says of a JobDB that all of its recent
// transactions have been brought to where this one is, and that no other will ever
// be stored there. So a Submit that named that JobDB, and is unknown where this is
// known, was not stored.
//
// It is brought after all others, and goes on with them.
func SettledID(jobDB string) string { return settledPrefix + jobDB }

func isSettled(id string) bool { return strings.HasPrefix(id, settledPrefix) }

func settledTransaction(jobDB string, now time.Time) jobdb.Transaction {
	return jobdb.Transaction{ID: SettledID(jobDB), State: jobdb.TransactionCommitted, CreatedAt: now.UTC().Truncate(time.Millisecond)}
}
