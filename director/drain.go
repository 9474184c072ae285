package director

import (
	"context"
	"log/slog"
	"time"

	"centrifuge"
	"centrifuge/archive"
)

// Target is where a drain brings jobs: a Director, over RPC or in the same process.
type Target interface {
	// Accept is as [Director.Accept].
	Accept(ctx context.Context, tr Transfer) error
}

// Former is a JobDB into which an earlier drain of the same JobDB moved jobs.
// Nobody can bring anything into it any more: its lease was taken, and it was
// opened under a new epoch.
type Former struct {
	Name  string
	Known func(ctx context.Context, ids []centrifuge.ID) ([]centrifuge.ID, error)
}

// DrainOptions are what a drain is made of. Holding, Target, To and Archive are
// required; other zero fields mean the defaults of [Options].
type DrainOptions struct {
	Holding // the JobDB to be drained; its lease stays the caller's

	// To is the name of the JobDB that the Target is to accept the jobs into. That
	// it is the one must have been noted durably before, for whoever resumes.
	To     string
	Target Target

	// Former, if the drain was begun towards another JobDB before, is that one.
	Former *Former

	Archive *archive.Archive

	// Progress, if given, hears the JobDB's ledger from time to time.
	Progress func(Ledger)

	CommitInterval time.Duration
	Now            func() time.Time
	Logger         *slog.Logger
}

// Drain moves the unfinished jobs of a JobDB that no Director uses any more into
// another one, each exactly once by its id, and returns the ledger in which nothing
// is pending. A drain that was cut short, anywhere, is resumed by another call.
//
// It returns [ErrWrongJobDB] when the Target has another JobDB by now: then To must
// be closed to everybody and be named as Former in the next call.
func Drain(ctx context.Context, o DrainOptions) (Ledger, error) {
	return Ledger{}, ErrUnavailable
}
