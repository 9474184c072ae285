package costs_test

import (
	"bufio"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/delivery"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/jobdb/mysql"
	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/local"
)

func TestMain(m *testing.M) { os.Exit(mysqltest.Main(m)) }

// store is where a Director's jobs lie.
type store struct {
	name   string
	open   func(ctx context.Context, epoch uint64) (jobdb.DB, error)
	folder string // what the jobs take on the disk is in it
	server int    // the process that stores them, if that is not this one
	flush  func() // writes out what the server has only in its log yet; nil if nothing is
}

// stores begins one of each kind, empty.
func stores(b *testing.B) []*store {
	b.Helper()
	files, data := b.TempDir(), filepath.Join(b.TempDir(), "data")
	server := mysqltest.StartIn(b, data, "--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M")
	lite := &store{name: "sqlite", folder: files}
	lite.open = func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
		return sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(files, "jobs.db"), Epoch: epoch})
	}
	schema := server.Schema()
	maria := &store{name: "mariadb", folder: filepath.Join(data, schema), server: pidOf(b, filepath.Join(data, "pid"))}
	maria.open = func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
		return mysql.Open(ctx, mysql.Options{
			Server: mysql.Server{Address: server.Address, User: mysqltest.User, Password: mysqltest.Password},
			Schema: schema, Epoch: epoch,
		})
	}
	root := server.Root()
	maria.flush = func() {
		if _, err := root.ExecContext(b.Context(), "SET GLOBAL innodb_max_dirty_pages_pct = 0"); err != nil {
			b.Fatal(err)
		}
		await(b, func() bool {
			var name string
			var dirty int
			err := root.QueryRowContext(b.Context(), "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").Scan(&name, &dirty)
			if err != nil {
				b.Fatal(err)
			}
			return dirty < 10
		})
		if _, err := root.ExecContext(b.Context(), "SET GLOBAL innodb_max_dirty_pages_pct = 90"); err != nil {
			b.Fatal(err)
		}
	}
	return []*store{lite, maria}
}

// crew is a Director at work, and the count of what it has done.
type crew struct {
	*director.Director
	succeeded, failed atomic.Int64
	ended             chan error
	stop              context.CancelFunc
}

// start starts a Director on the store, and returns when it accepts jobs.
func start(b *testing.B, s *store, d director.Deliverer) *crew {
	b.Helper()
	folder, err := archive.OpenFolder(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	held := b.TempDir()
	c := &crew{ended: make(chan error, 1)}
	serving := make(chan struct{}, 1)
	c.Director, err = director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			owned, err := local.Acquire(held)
			return director.Holding{Name: jobdb.Name(1), Lease: owned, Open: s.open}, err
		},
		Serving:    func() { serving <- struct{}{} },
		Deliverer:  d,
		Archive:    archive.New(folder),
		CacheBytes: 1 << 20, // so that what is waiting is not in memory as well
		Logger:     slog.New(slog.DiscardHandler),
		Observe: func(events []centrifuge.Event) {
			for i := range events {
				switch events[i].Step.State {
				case centrifuge.StateSucceeded:
					c.succeeded.Add(1)
				case centrifuge.StateAwaitingRetry:
					c.failed.Add(1)
				default:
				}
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	c.stop = cancel
	go func() { c.ended <- c.Run(ctx) }()
	select {
	case <-serving:
	case err := <-c.ended:
		b.Fatalf("the Director ended: %v", err)
	}
	return c
}

func (c *crew) end(b *testing.B) {
	b.Helper()
	c.stop()
	if err := <-c.ended; err != nil {
		b.Error(err)
	}
}

// submit submits the jobs in batches of 200, at most 20,000 ahead of those done.
func (c *crew) submit(b *testing.B, n int, done *atomic.Int64, job func(i int) *centrifuge.Job) {
	b.Helper()
	for i := 0; i < n; {
		batch := make([]*centrifuge.Job, 0, 200)
		for ; i < n && len(batch) < 200; i++ {
			batch = append(batch, job(i))
		}
		if _, err := c.Submit(b.Context(), director.Submission{Jobs: batch}); err != nil {
			b.Fatal(err)
		}
		await(b, func() bool { return int64(i)-done.Load() < 20_000 })
	}
	await(b, func() bool { return done.Load() >= int64(n) })
}

// await looks every few milliseconds.
func await(b *testing.B, met func() bool) {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-b.Context().Done():
			b.Fatal(b.Context().Err())
		}
	}
}

// startSink starts a sink in a process of its own, whose cost is not counted.
func startSink(b *testing.B) (url string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "sink")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", path, "centrifuge/bench/cmd/sink").CombinedOutput(); err != nil {
		b.Fatalf("build the sink: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(b.Context(), path, "-forget-ids")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func client(b *testing.B) *delivery.Client {
	b.Helper()
	c, err := delivery.New(delivery.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}
