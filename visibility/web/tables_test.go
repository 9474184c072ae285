package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

// crowd is a fake with many destinations.
func crowd(n int) *fake {
	f := &fake{}
	for i := range n {
		name := fmt.Sprintf("dest-%05d", i)
		key := centrifuge.QueueKey{Source: "shop", Destination: name}
		f.queues = append(f.queues, schedule.QueueInfo{Queue: key, Ready: i})
		f.dests = append(f.dests, schedule.DestinationInfo{Destination: name, Queues: 1})
		f.ledgers = append(f.ledgers, QueueLedger{key, Ledger{Accepted: int64(i), AwaitingScheduling: int64(i)}})
		f.top = append(f.top, visibility.TopRow{
			Destination: name, Counts: visibility.Counts{Succeeded: int64(n - i), FirstAttempt: int64(n - i)},
			Spark: make([]int64, visibility.SparkPoints),
		})
	}
	return f
}

func TestTablesArePaged(t *testing.T) {
	v := newSite(t, crowd(250)).as(t, access.Local())
	for path, want := range map[string]struct {
		first string
		rows  int
	}{
		"/destinations":                          {"dest-00000", 100},
		"/destinations?page=3":                   {"dest-00200", 50},
		"/destinations?page=99":                  {"dest-00200", 50},
		"/destinations?sort=pending&dir=desc":    {"dest-00249", 100},
		"/destinations?sort=name&dir=desc":       {"dest-00249", 100},
		"/destinations?q=DEST-0001":              {"dest-00010", 10},
		"/destinations?q=nothing+like+it":        {"", 0},
		"/destinations?health=Healthy&sort=name": {"dest-00000", 100},
	} {
		_, content := v.get(path, "live")
		if n := strings.Count(content, `<th scope="row"`); n != want.rows {
			t.Errorf("%s has %d rows, want %d", path, n, want.rows)
		}
		_, rest, _ := strings.Cut(content, `<th scope="row" class="name" title="`)
		if first, _, _ := strings.Cut(rest, `"`); first != want.first && want.rows > 0 {
			t.Errorf("%s begins with %s, want %s", path, first, want.first)
		}
	}
	if _, content := v.get("/destinations?sort=pending&dir=desc"); strings.Count(content, `aria-sort="descending"`) != 1 {
		t.Error("the sorted column is not marked, or more than one is")
	}
}

// BenchmarkPages is what pages cost beside their backends, with 10,000 queues.
func BenchmarkPages(b *testing.B) {
	s := newSite(b, crowd(10_000))
	for _, path := range []string{"/", "/destinations", "/queue?source=shop&destination=dest-00001"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(access.With(b.Context(), access.Local()), http.MethodGet, path, nil)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
