package director

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Limits of what is accepted.
const (
	MaxJobs          = 5000     // a Submit
	MaxSubmitBytes   = 32 << 20 // payloads and headers of a Submit
	MaxPayload       = 1 << 20  // a job
	MaxName          = 256      // bytes of a source or destination
	MaxTransactionID = 128      // bytes
	MaxTTL           = 7 * 24 * time.Hour
	MaxTimeout       = 5 * time.Minute
)

// Deliverer makes one attempt. [delivery.Client] is the one outside tests.
type Deliverer interface {
	Deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result
}

// Options are what a Director is made of. Acquire, Deliverer and Archive are
// required; other zero fields mean the defaults.
type Options struct {
	// Acquire waits for a JobDB that nobody owns and takes its lease. It is called
	// at the start, for each cycle, and after the loss of a lease. Calls come one at
	// a time; one that fails is repeated.
	Acquire func(ctx context.Context) (Holding, error)

	// Released, if given, is called each time the Director has let go of a JobDB
	// and its lease. The context outlasts the Director's by 10 s at most.
	Released func(ctx context.Context, r Report)

	// Serving, if given, is called each time recovery is over and jobs are
	// accepted, and after each cycle.
	Serving func()

	// Observe, if given, is told of the transitions of each commit, in their order,
	// once they are durable. It holds up the next commit and must not block or keep
	// the slice; jobs are never changed and may be kept. Several calls may be under
	// way at once, one for each JobDB.
	Observe func([]centrifuge.Event)

	// Past, if given, finds a job that neither this Director's JobDBs nor the archive
	// have: in JobDBs of others, and in those that were let go of. Its error wraps
	// [jobdb.ErrNotFound], or is a [GoneError], if there is none.
	Past func(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error)

	Deliverer Deliverer
	Archive   *archive.Archive

	// Name tells this Director's archive objects from others'; default "director".
	Name string

	Schedule schedule.Options

	// CommitInterval is the least time from the beginning of one commit to that
	// of the next, so that many callers share one. A commit after a lull begins
	// at once. Default 2 ms.
	CommitInterval time.Duration

	// MaxUnflushed is how many transitions may await their commit before no
	// further attempt is begun. Default 20,000.
	MaxUnflushed int

	// CacheBytes bounds the payloads kept in memory; those of other jobs are read
	// back when they are due. Default 64 MiB.
	CacheBytes int64

	// MaxIntakeBytes bounds the jobs that were received and not yet committed.
	// Default 64 MiB.
	MaxIntakeBytes int64

	// MaxPreparedBytes bounds the jobs that are prepared and neither committed nor
	// aborted. Default 256 MiB.
	MaxPreparedBytes int64

	// MaxPending bounds the unfinished jobs. Default 20,000,000.
	MaxPending int64

	// FreeDisk tells the free bytes where the JobDB lies, and MinFreeDisk how many
	// must be left for intake to go on. Nil or 0 turns the check off.
	FreeDisk    func() (uint64, error)
	MinFreeDisk uint64

	// ArchiveJobs and ArchiveBytes bound one archive object; ArchiveEvery is how
	// long expired jobs are gathered for one. Defaults 1,000, 8 MiB, 5 s.
	ArchiveJobs  int
	ArchiveBytes int64
	ArchiveEvery time.Duration

	// ShutdownGrace is how long attempts under way may take to end at shutdown
	// before they are cut off and logged as interrupted. Default 15 s.
	ShutdownGrace time.Duration

	Now    func() time.Time // default time.Now
	Random io.Reader        // of ids; default crypto/rand
	Logger *slog.Logger     // default slog.Default
}

// withDefaults checks what is required and fills the rest.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Acquire == nil:
		return o, errors.New("director: Options.Acquire is required")
	case o.Deliverer == nil:
		return o, errors.New("director: Options.Deliverer is required")
	case o.Archive == nil:
		return o, errors.New("director: Options.Archive is required")
	}
	o.fill()
	return o, nil
}

// fill fills in the defaults of what is not required.
func (o *Options) fill() {
	o.Name = cmp.Or(o.Name, "director")
	o.CommitInterval = cmp.Or(o.CommitInterval, 2*time.Millisecond)
	o.MaxUnflushed = cmp.Or(o.MaxUnflushed, 20_000)
	o.CacheBytes = cmp.Or(o.CacheBytes, 64<<20)
	o.MaxIntakeBytes = cmp.Or(o.MaxIntakeBytes, 64<<20)
	o.MaxPreparedBytes = cmp.Or(o.MaxPreparedBytes, 256<<20)
	o.MaxPending = cmp.Or(o.MaxPending, 20_000_000)
	o.ArchiveJobs = cmp.Or(o.ArchiveJobs, 1000)
	o.ArchiveBytes = cmp.Or(o.ArchiveBytes, 8<<20)
	o.ArchiveEvery = cmp.Or(o.ArchiveEvery, 5*time.Second)
	o.ShutdownGrace = cmp.Or(o.ShutdownGrace, 15*time.Second)
	o.Schedule.MaxInFlight = cmp.Or(o.Schedule.MaxInFlight, 1024)
	if o.Schedule.Random == nil {
		o.Schedule.Random = mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}
