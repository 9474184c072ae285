package web

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/archive"
	"centrifuge/jobdb"
	"centrifuge/schedule"
	"centrifuge/visibility"
)

var noon = time.Date(2026, 3, 14, 12, 0, 30, 0, time.UTC)

// fake is every backend. Its queues are fixed; what was set of policies is kept.
type fake struct {
	queues   []schedule.QueueInfo
	dests    []schedule.DestinationInfo
	ledgers  []QueueLedger
	policies map[centrifuge.QueueKey]centrifuge.QueuePolicy
	trace    jobdb.Trace
	top      []visibility.TopRow
	missing  []Missing
	holders  []Holder
	reach    Reach // of every order
	err      error // of every call
	acted    []string
	damaged  []*archive.DamagedError
}

func (f *fake) Survey(_ context.Context, sel schedule.Selector) (*Survey, error) {
	v := &Survey{
		Destinations: f.dests, Policy: f.policies[centrifuge.QueueKey(sel)], Oldest: noon.Add(-time.Hour), Soon: 7,
		Missing: f.missing, Holders: f.holders,
	}
	for _, q := range f.queues {
		if sel.Matches(q.Queue) {
			v.Queues = append(v.Queues, q)
		}
	}
	for _, l := range f.ledgers {
		if sel.Matches(l.Queue) {
			v.Ledgers = append(v.Ledgers, l)
		}
	}
	return v, f.err
}

func (f *fake) SetPolicy(_ context.Context, scope centrifuge.QueueKey, p centrifuge.QueuePolicy) (Reach, error) {
	if f.policies == nil {
		f.policies = map[centrifuge.QueueKey]centrifuge.QueuePolicy{}
	}
	f.policies[scope] = p
	return f.reach, f.err
}

func (f *fake) Retry(_ context.Context, sel schedule.Selector) (int, Reach, error) {
	f.acted = append(f.acted, "retry "+sel.Source+" "+sel.Destination)
	return 3, f.reach, f.err
}

func (f *fake) Expire(_ context.Context, sel schedule.Selector) (int, Reach, error) {
	f.acted = append(f.acted, "expire "+sel.Source+" "+sel.Destination)
	return 4, f.reach, f.err
}

func (f *fake) Get(context.Context, centrifuge.ID) (jobdb.Trace, error) {
	if f.trace.Job.ID.IsZero() {
		return f.trace, ErrNotFound
	}
	return f.trace, f.err
}

func (f *fake) Search(context.Context, JobFilter, string, int, time.Duration) (FoundJobs, error) {
	return FoundJobs{}, f.err
}

func (f *fake) ListArchive(context.Context, archive.Filter, string, int) (archive.Page, error) {
	return archive.Page{Damaged: f.damaged}, f.err
}

func (f *fake) Replay(_ context.Context, filter archive.Filter, _ string, _ int, _ float64) (Replayed, error) {
	f.acted = append(f.acted, "replay "+filter.Source+" "+filter.Destination)
	return Replayed{Jobs: 5, LeftOut: len(f.damaged), Damaged: f.damaged}, f.err
}

func (f *fake) Ledger(context.Context) (sum Ledger, missing []Missing, err error) {
	for _, l := range f.ledgers {
		sum = sum.Plus(l.Ledger)
	}
	return sum, nil, f.err
}

func (f *fake) Alerts(context.Context) ([]Alert, error) {
	return []Alert{
		{Rule: "breaker", Severity: "critical", Source: "shop", Destination: "crm", Text: "Its breaker is open.", Since: noon},
		{Rule: "ledger", Severity: "critical", Text: "It does not balance.", Since: noon},
	}, f.err
}

// record is a history of the fake's rows.
type record struct {
	noHistory
	f *fake
}

func (r record) Volumes(ctx context.Context, by visibility.By, f visibility.Filter, over visibility.Range) ([]visibility.TopRow, error) {
	return r.Top(ctx, by, f, over, visibility.OrderVolume, 0)
}

func (r record) Top(_ context.Context, _ visibility.By, f visibility.Filter, _ visibility.Range, _ visibility.Order, _ int) ([]visibility.TopRow, error) {
	var rows []visibility.TopRow
	for _, row := range r.f.top {
		if f.Among == nil || row.Source == "" {
			rows = append(rows, row)
		}
	}
	return rows, r.f.err
}

func newSite(t testing.TB, f *fake) *Site {
	t.Helper()
	s, err := New(Options{
		Backends: Backends{Queues: f, Jobs: f, Archive: f, Ledger: f, History: record{f: f}, Alerts: f},
		Version:  "test", Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// viewer is somebody with a browser.
type viewer struct {
	t       testing.TB
	site    *Site
	who     access.Principal
	cookies []*http.Cookie
	token   string
}

func (s *Site) as(t testing.TB, who access.Principal) *viewer {
	return &viewer{t: t, site: s, who: who}
}

func (v *viewer) send(r *http.Request) *http.Response {
	v.t.Helper()
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, r.WithContext(access.With(r.Context(), v.who)))
	resp := w.Result()
	v.cookies = append(v.cookies, resp.Cookies()...)
	return resp
}

// get asks for a page, as a whole, or the part that an element of it is filled with.
func (v *viewer) get(path string, part ...string) (status int, content string) {
	v.t.Helper()
	r := httptest.NewRequestWithContext(v.t.Context(), http.MethodGet, path, nil)
	if len(part) > 0 {
		r.Header.Set("HX-Request", "true")
		r.Header.Set("HX-Target", part[0])
	}
	resp := v.send(r)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if _, rest, ok := strings.Cut(string(b), `"X-CSRF-Token":"`); ok {
		v.token, _, _ = strings.Cut(rest, `"`)
	}
	return resp.StatusCode, string(b)
}

// post sends a form of a page that was looked at.
func (v *viewer) post(path string, fields ...string) (status int, content string) {
	v.t.Helper()
	form := url.Values{"csrf": {v.token}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequestWithContext(v.t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp := v.send(r)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
