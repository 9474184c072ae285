package archive_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/internal/powerloss"
)

const powerEnv = "CENTRIFUGE_TEST_POWER" // folder

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(powerEnv); ok {
		if err := archiveAndVanish(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// archiveAndVanish is a child process: it writes objects, of two jobs each, prints the
// ids of those that are durable, and ends without closing anything. What fails is
// written again.
func archiveAndVanish(dir string) error {
	folder, err := archive.OpenFolder(dir)
	if err != nil {
		return err
	}
	a := archive.New(folder)
	for n := range 8 {
		pair := make([]archive.Record, 2)
		for i := range pair {
			pair[i].Job = centrifuge.Job{ID: centrifuge.ID{1, byte(n), byte(i)}, Source: "s", Destination: "d", Payload: make([]byte, 5000)}
		}
		name := archive.ObjectName(time.UnixMilli(int64(n)*1_000_000_000), "a", pair[0].Job.ID) // each in another folder
		for try := 0; ; try++ {
			if err = a.Write(context.Background(), name, pair); err == nil || try == 100 {
				break
			}
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(os.Stdout, pair[0].Job.ID, pair[1].Job.ID); err != nil {
			return err
		}
	}
	return nil
}

// A loss of power takes nothing from a folder that a Write has returned for, and leaves
// nothing that is listed and damaged; nor if syncs fail on the way.
func TestLossOfPower(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12)) //nolint:gosec // what is lost
	injections := [][]string{nil}
	for first := 4; first < 12; first++ { // so that each kind of sync fails in its turn
		injections = append(injections, []string{fmt.Sprintf("fsync:error=EIO:when=%d+9", first)})
	}
	for _, inject := range injections {
		dir := t.TempDir()
		log := powerloss.New(dir)
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), powerEnv+"="+dir)
		if err := log.Run(t, child, inject...); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			n := random.IntN(log.Len() + 1)
			left := t.TempDir()
			if err := log.Cut(left, n, random); err != nil {
				t.Fatal(err)
			}
			a := archive.New(openFolder(t, left))
			entries, damage := listAll(t, a, archive.Filter{}, 100)
			found := map[string]bool{}
			for r, err := range a.Read(t.Context(), entries) {
				if err != nil {
					damage = append(damage, err)
				}
				found[r.Job.ID.String()] = true
			}
			if len(damage) > 0 {
				t.Errorf("after step %d of %d: %v", n, log.Len(), damage)
			}
			for id := range strings.FieldsSeq(log.Said(n)) {
				if !found[id] {
					t.Errorf("after step %d of %d: job %s is lost", n, log.Len(), id)
				}
			}
		}
	}
}
