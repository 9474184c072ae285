package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/jobdb"
)

const crashEnv = "CENTRIFUGE_TEST_CRASH" // path and epoch

func TestMain(m *testing.M) {
	if path, epoch, ok := strings.Cut(os.Getenv(crashEnv), "\n"); ok {
		fmt.Fprintln(os.Stderr, commitUntilKilled(path, epoch))
		os.Exit(1)
	}
	if args, ok := os.LookupEnv(powerEnv); ok {
		if err := commitAndVanish(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// commitUntilKilled is the child process: it commits batch after batch and prints
// the ids of each that was acknowledged. Its log is checkpointed often, so that
// it dies in the middle of that too.
func commitUntilKilled(path, epoch string) error {
	n, err := strconv.ParseUint(epoch, 10, 64)
	if err != nil {
		return err
	}
	tune := defaults()
	tune.checkpointSize = 128 << 10
	db, err := open(context.Background(), Options{Path: path, Epoch: n}, tune)
	if err != nil {
		return err
	}
	l := newLoad(make([]byte, 700))
	for {
		var b jobdb.Batch
		if err := l.batch(&b, 1+rand.IntN(25), 2); err != nil {
			return err
		}
		if err := db.Commit(context.Background(), &b); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString(acknowledged(&b)); err != nil {
			return err
		}
	}
}

// acknowledged is the line that tells of a batch, and note reads it.
func acknowledged(b *jobdb.Batch) string {
	var line strings.Builder
	for _, j := range b.Jobs {
		fmt.Fprintf(&line, "%s ", j.ID)
	}
	line.WriteByte('|')
	for _, t := range b.Transitions() {
		if t.State == centrifuge.StateSucceeded {
			fmt.Fprintf(&line, " %s", t.JobID)
		}
	}
	line.WriteByte('\n')
	return line.String()
}

func note(states map[string]centrifuge.State, line string) {
	jobs, succeeded, batch := strings.Cut(line, "|")
	if !batch {
		return
	}
	for id := range strings.FieldsSeq(jobs) {
		states[id] = centrifuge.StateAwaitingScheduling
	}
	for id := range strings.FieldsSeq(succeeded) {
		states[id] = centrifuge.StateSucceeded
	}
}

// compare returns what the JobDB lacks of what was acknowledged, or has by halves.
func compare(ctx context.Context, db *DB, states map[string]centrifuge.State) error {
	found := 0
	for row, err := range db.Scan(ctx) {
		if err != nil {
			return err
		}
		want, known := states[row.ID.String()]
		switch row.Last.State {
		case centrifuge.StateAwaitingScheduling:
			if want == centrifuge.StateSucceeded {
				return fmt.Errorf("job %s lost its attempt", row.ID)
			}
		case centrifuge.StateSucceeded:
		default:
			return fmt.Errorf("job %s is %s: half a batch", row.ID, row.Last.State)
		}
		if known {
			found++
		}
	}
	if found != len(states) {
		return fmt.Errorf("%d of %d acknowledged jobs are missing", len(states)-found, len(states))
	}
	return nil
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	random := rand.New(rand.NewPCG(5, 6))   //nolint:gosec // when to kill
	states := map[string]centrifuge.State{} // as acknowledged, by id
	for round := range 10 {
		killed(t, path, 2*round+1, 1+random.IntN(60), states)

		db, err := Open(t.Context(), Options{Path: path, Epoch: uint64(2*round + 2)})
		if err != nil {
			t.Fatal(err)
		}
		if err := compare(t.Context(), db, states); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killed runs the child until it has acknowledged so many batches, kills it, and
// notes all that it acknowledged.
func killed(t *testing.T, path string, epoch, batches int, states map[string]centrifuge.State) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%d", crashEnv, path, epoch))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	lines := 0
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break // what follows the last newline was not yet said
		}
		if err != nil {
			t.Fatal(err)
		}
		note(states, line)
		if lines++; lines == batches {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || lines < batches {
		t.Fatalf("the child ended by itself after %d batches: %v", lines, err)
	}
}
