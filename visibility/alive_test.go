package visibility_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

// slow is a backend whose writes wait.
type slow struct {
	visibility.Backend
	wait chan struct{}
}

func (s *slow) Write(ctx context.Context, d visibility.Day, w *visibility.Write) error {
	<-s.wait
	return s.Backend.Write(ctx, d, w)
}

// A process that dies while its storage hangs leaves a gap up to its death, not up
// to the flush that hung.
func TestDeathWhileTheStorageHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		backend, err := sqlite.Open(filepath.Join(dir, "record"))
		if err != nil {
			t.Fatal(err)
		}
		hanging := &slow{backend, make(chan struct{})}
		store, err := visibility.OpenStore(t.Context(), visibility.StoreOptions{Backend: hanging})
		if err != nil {
			t.Fatal(err)
		}
		alive := filepath.Join(dir, "alive")
		r, err := visibility.NewRecorder(t.Context(), visibility.RecorderOptions{Store: store, Alive: alive})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		began := time.Now()
		r.Record(newWorld(31, began).events(20, time.Second))
		time.Sleep(10 * time.Minute)
		left, err := os.ReadFile(alive) // what a process that died now would leave
		if err != nil {
			t.Fatal(err)
		}
		close(hanging.wait)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(alive, left, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := visibility.NewRecorder(t.Context(), visibility.RecorderOptions{Store: store, Alive: alive}); err != nil {
			t.Fatal(err)
		}
		gaps, err := store.Gaps(t.Context(), visibility.Range{From: began.Add(-time.Hour), To: began.Add(24 * time.Hour)})
		if err != nil || len(gaps) != 1 || gaps[0].From.After(began) || gaps[0].To.Before(began.Add(10*time.Minute)) || gaps[0].To.After(began.Add(12*time.Minute)) {
			t.Errorf("gaps %v, %v; it began at %v", gaps, err, began)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
