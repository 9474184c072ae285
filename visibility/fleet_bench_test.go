package visibility_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/visibility"
)

// BenchmarkFleetMonth is BenchmarkMonth with two Directors that both serve all
// queues and record on MariaDB. A day has three minutes of them, and the last two hours are whole.
func BenchmarkFleetMonth(b *testing.B) {
	server := mysqltest.Start(b, "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=256M")
	schema := server.Schema()
	end := time.Date(2026, 7, 31, 11, 47, 0, 0, time.UTC)
	fillFleet(b, onServer(server.Address, schema, "other"), end)
	store := fillFleet(b, onServer(server.Address, schema, "reader"), end)
	month := visibility.Last(end, time.Duration(*benchDays)*24*time.Hour)
	for name, ask := range map[string]func(context.Context) error{
		"overview/month": func(ctx context.Context) error { return overview(ctx, store, month, 24*time.Hour) },
		"queues/month": func(ctx context.Context) error {
			_, err := store.Top(ctx, visibility.ByQueue, visibility.Filter{}, month, visibility.OrderFailures, 50)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			before := cpu(b)
			for b.Loop() {
				if err := ask(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms")
		})
	}
}

func fillFleet(b *testing.B, at place, end time.Time) *visibility.Store {
	backend := at(b, "")()
	o := visibility.StoreOptions{Backend: backend}
	o.Others, _ = backend.(visibility.Others)
	store, err := visibility.OpenStore(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	var now time.Time
	r, err := visibility.NewRecorder(b.Context(), visibility.RecorderOptions{
		Store: store, Alive: filepath.Join(b.TempDir(), "alive"), Now: func() time.Time { return now }, MaxCells: 1 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for hour := end.Truncate(24*time.Hour).AddDate(0, 0, -*benchDays); hour.Before(end); hour = hour.Add(time.Hour) {
		minutes := 60
		if end.Sub(hour) >= 2*time.Hour {
			minutes = 1
			if hour.Hour()%8 != 0 {
				continue
			}
		}
		for now = hour; now.Before(hour.Add(time.Duration(minutes)*time.Minute)) && now.Before(end); now = now.Truncate(time.Minute) {
			for queue := range *benchQueues {
				r.Record(minuteOf(random, queue, 2, now))
			}
			if err := r.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			now = now.Add(time.Minute + 10*time.Second)
			if err := r.Tidy(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	return store
}
