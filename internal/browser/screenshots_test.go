package browser

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

// largest is what a screenshot of the documentation may weigh.
const largest = 150_000

// TestScreenshots makes the screenshots of the documentation, and keeps them if
// -screenshots names a folder: make screenshots does. Their last hour is made up,
// so that charts have something to show; what is pending, held back and archived on
// them is real.
func TestScreenshots(t *testing.T) {
	if _, err := binary(); err != nil { // what is made up ends now, and not when it is built
		t.Fatal(err)
	}
	data := t.TempDir()
	pretend(t, filepath.Join(data, "history"))
	s := startScene(t, []string{"--data-dir", data}, []string{
		"/ok=latency:2ms-20ms", "/flaky=status:200:0.7,500:0.2,429:0.1;latency:5ms-40ms", "/bad=status:400:3,401:1;latency:5ms-20ms", "/down=status:503",
	})
	s.submit("shop", "crm", "/ok", 120)
	s.submit("app-ios", "analytics", "/ok", 150)
	s.submit("app-android", "analytics", "/ok", 90)
	s.submit("backend", "warehouse", "/ok", 60)
	told := s.submit("shop", "webhooks", "/flaky", 140, eager)
	s.submit("app-ios", "webhooks", "/flaky", 60, eager)
	s.submit("pos", "ads", "/bad", 40)
	s.submit("shop", "billing", "/down", 380, patient)
	s.submit("pos", "push", "/down", 24, eager, func(j *pb.JobSpec) { j.Ttl = durationpb.New(time.Second) })
	await(t, "the archive to have the expired jobs", func() bool { return s.ledger().GetArchived() == 24 })
	s.settled(380)

	b := s.tab()
	b.open("/queue?source=shop&destination=webhooks")
	b.says("#samples", "500")
	for _, shot := range []struct {
		name, path, theme string
		width, height     int64
	}{
		{"overview", "/", "light", 1280, 860},
		{"overview-dark", "/", "dark", 1280, 860},
		{"destinations", "/destinations", "light", 1280, 560},
		{"queue", "/queue?source=shop&destination=webhooks", "dark", 1280, 980},
		{"job", "/jobs/" + retried(s, told), "light", 1280, 560},
		{"archive", "/archive", "light", 1280, 560},
		{"report", "/report?range=1h", "light", 1280, 760},
		{"phone", "/destinations", "dark", 390, 780},
	} {
		b.prefer(shot.theme)
		b.size(shot.width, shot.height)
		b.open(shot.path)
		if eval[bool](b, `!!document.querySelector("[data-chart]")`) {
			b.until("the charts", `[...document.querySelectorAll("[data-canvas]")].every(e => e.querySelector("canvas"))`)
		}
		var png []byte
		b.do(chromedp.CaptureScreenshot(&png))
		if len(png) > largest || len(png) < 5_000 {
			t.Errorf("the screenshot %s has %d bytes", shot.name, len(png))
		}
		if *screenshots != "" {
			if err := os.WriteFile(filepath.Join(*screenshots, shot.name+".png"), png, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
}

// retried is one of the jobs that needed several attempts.
func retried(s *scene, ids []string) string {
	best := ids[0]
	for _, id := range ids {
		if s.sink.Job(id).Attempts > s.sink.Job(best).Attempts {
			best = id
		}
	}
	return best
}

// pretend fills a folder with an hour of deliveries that never were.
func pretend(t *testing.T, folder string) {
	t.Helper()
	backend, err := sqlite.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Minute).Add(-70 * time.Minute)
	clock := func() time.Time { return now }
	store, err := visibility.OpenStore(t.Context(), visibility.StoreOptions{Backend: backend, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := visibility.NewRecorder(t.Context(), visibility.RecorderOptions{Store: store, Alive: filepath.Join(folder, "alive"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 0))
	for minute := range 70 {
		var events []centrifuge.Event
		for _, q := range pretended {
			wave := 1 + 0.35*math.Sin(float64(minute)/8+q.phase) + 0.15*random.Float64()
			for range int(5 * q.volume * wave) {
				events = append(events, q.job(now.Add(time.Duration(random.IntN(60000))*time.Millisecond), random)...)
			}
		}
		recorder.Record(events)
		now = now.Add(time.Minute)
		if err := recorder.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := recorder.Run(ended); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// pretended are queues, with what becomes of their jobs.
var pretended = []pretendedQueue{
	{"shop", "crm", 26, 0, 0.01, 0, 24},
	{"app-ios", "analytics", 34, 1, 0.002, 0, 60},
	{"app-android", "analytics", 22, 2, 0.002, 0, 70},
	{"backend", "warehouse", 14, 3, 0.03, 0, 180},
	{"shop", "webhooks", 18, 4, 0.16, 0.01, 35},
	{"app-ios", "webhooks", 9, 5, 0.2, 0.02, 30},
	{"pos", "ads", 7, 0.5, 0.02, 0.3, 45},
	{"shop", "billing", 12, 2.5, 0.04, 0, 90},
}

type pretendedQueue struct {
	source, destination    string
	volume, phase          float64 // jobs a minute, and where in its wave it begins
	retried, discarded, ms float64
}

// job is the events of one job that is accepted at a time.
func (q *pretendedQueue) job(at time.Time, random *rand.Rand) []centrifuge.Event {
	job := &centrifuge.Job{Source: q.source, Destination: q.destination, Payload: make([]byte, 300), CreatedAt: at, ExpireAt: at.Add(4 * time.Hour)}
	events := []centrifuge.Event{{Job: job, Step: centrifuge.Transition{State: centrifuge.StateAwaitingScheduling, Time: at}}}
	for attempt := uint32(1); ; attempt++ {
		took := time.Duration(q.ms * math.Exp(0.5*random.NormFloat64()) * float64(time.Millisecond))
		at = at.Add(took)
		step := centrifuge.Transition{Attempt: attempt, Time: at, Duration: took}
		switch u := random.Float64(); {
		case u < q.retried:
			step.State, step.StatusCode = centrifuge.StateAwaitingRetry, []int{500, 503, 429}[random.IntN(3)]
		case u < q.retried+q.discarded:
			step.State, step.StatusCode = centrifuge.StateDiscarded, []int{400, 400, 401}[random.IntN(3)]
		default:
			step.State, step.StatusCode = centrifuge.StateSucceeded, 200
		}
		events = append(events, centrifuge.Event{Job: job, From: centrifuge.StateExecuting, Step: step})
		if step.State != centrifuge.StateAwaitingRetry {
			return events
		}
	}
}
