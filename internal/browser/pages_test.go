package browser

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// busy is a scene with something of everything, and the paths of all pages.
func busy(t *testing.T) (*scene, map[string]string) {
	t.Helper()
	s := newScene(t, "/ok=latency:1ms-5ms", "/flaky=status:200:0.6,500:0.4", "/bad=status:400,401", "/down=status:503")
	s.submit("shop", "crm", "/ok", 40)
	s.submit("shop", "hooks", "/flaky", 30, eager)
	refused := s.submit("app", "ads", "/bad", 10)
	s.submit("app", "lost", "", 3, patient, func(j *pb.JobSpec) { j.Endpoint = "http://127.0.0.1:1/" })
	s.submit("app", "billing", "/down", 12, patient)
	s.submit("shop", "gone", "/down", 5, eager, func(j *pb.JobSpec) { j.Ttl = durationpb.New(time.Second) })
	await(t, "the archive to have the expired jobs", func() bool { return s.ledger().GetArchived() == 5 })
	s.settled(15)
	return s, map[string]string{
		"overview": "/", "destinations": "/destinations", "sources": "/sources",
		"queue": "/queue?source=shop&destination=hooks", "failing queue": "/queue?source=app&destination=ads",
		"destination": "/destination?destination=billing", "source": "/source?source=shop",
		"job": "/jobs/" + refused[0], "archive": "/archive", "jobs": "/jobs?state=discarded", "fleet": "/fleet", "alerts": "/alerts", "report": "/report", "audit": "/audit",
		"unknown page": "/nowhere", "unknown queue": "/queue?source=no&destination=body", "a control": "/do/pause?source=shop", "a link": "/customer-link?source=shop",
	}
}

// Tests that only look share one scene.
func TestBusyPages(t *testing.T) {
	s, paths := busy(t)
	in := func(test func(*scene)) func(*testing.T) {
		return func(t *testing.T) {
			look := *s
			look.t = t
			test(&look)
		}
	}
	t.Run("pages", in(func(s *scene) { testPages(s, paths) }))
	t.Run("the first page is small", in(testTheFirstPageIsSmall))
	t.Run("tables sort and filter", in(testTablesSortAndFilter))
	t.Run("report", in(testReport))
	t.Run("job", in(testJobPage))
}

func testPages(s *scene, paths map[string]string) {
	b := s.tab()
	b.expect("404 (Not Found)") // of the page that there is not
	for name, path := range paths {
		b.prefer("light")
		b.size(1440, 900)
		b.open(path)
		b.accessible(name)
		b.fits(name)
		b.prefer("dark")
		b.accessible(name+" in dark", "color-contrast")
		b.size(1920, 1080)
		b.fits(name + " on a wide screen")
		b.size(360, 740)
		b.fits(name + " on a phone")
		b.accessible(name + " on a phone")
	}
}

func testTheFirstPageIsSmall(s *scene) {
	t, b := s.t, s.tab()
	b.open("/")
	ready := eval[float64](b, `performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`)
	whole := eval[float64](b, `performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).reduce((n, e) => n + e.decodedBodySize, 0)`)
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("the first page loads %d files, %.0f bytes, and is interactive after %.0f ms", len(b.requests), b.bytes, ready)
	if whole > 300_000 {
		t.Errorf("the first page weighs %.0f bytes uncompressed, more than 300 KB", whole)
	}
	if b.bytes > 300_000 {
		t.Errorf("the first page weighs %.0f bytes, more than 300 KB", b.bytes)
	}
}

func testTablesSortAndFilter(s *scene) {
	t, b := s.t, s.tab()
	names := `[...document.querySelectorAll("tbody th")].map(e => e.innerText).join(" ")`
	b.open("/destinations?sort=name&dir=asc")
	if got := eval[string](b, names); got != "ads billing crm gone hooks lost" {
		t.Errorf("sorted by name: %s", got)
	}
	b.clickText("Destination")
	b.until("the other order", names+` === "lost hooks gone crm billing ads"`)
	b.until("the arrow", `document.querySelector("th[aria-sort=descending]").innerText === "Destination"`)
	b.do(sendKeys(`.filters input[name="q"]`, "b")...)
	b.until("those with a b", names+` === "billing"`)
	if at := eval[string](b, "location.search"); !strings.Contains(at, "q=b") || !strings.Contains(at, "sort=name") {
		t.Errorf("the address does not say what is shown: %s", at)
	}
	b.open("/destinations?health=trouble&sort=name&dir=asc")
	if got := eval[string](b, names); !strings.Contains(got, "ads") || strings.Contains(got, "crm") {
		t.Errorf("in trouble: %s", got)
	}
	b.clickText("6h")
	b.until("the other range", `document.querySelector(".segments [aria-current]").innerText === "6h" && location.search.includes("health=trouble")`)
}

func testJobPage(s *scene) {
	t := s.t
	id := s.submit("shop", "ads", "/bad", 1, func(j *pb.JobSpec) {
		j.Endpoint += "?api_key=hush-hush&user=u"
		j.Payload = []byte(`{"name":"O'Hara"}`)
		j.Headers = append(j.Headers, &pb.Header{Name: "Authorization", Value: "Bearer hush-hush"})
	})[0]
	b := s.tab()
	b.open("/jobs/" + id)
	b.says("dl", "discarded")
	b.says(".timeline", "Attempt 1 was refused for good")
	if curl := b.text("#curl"); !strings.Contains(curl, `'{"name":"O'\''Hara"}'`) || !strings.Contains(curl, s.at+"/bad?api_key=redacted&user=u") {
		t.Errorf("the command is %s", curl)
	}
	if page := s.get(t.Context(), "/jobs/"+id); strings.Contains(page, "hush-hush") {
		t.Error("the page shows a secret")
	}
	b.open("/")
	b.do(sendKeys("input[data-search]", id+"\r")...)
	b.until("the job that was searched for", `location.pathname === "/jobs/`+id+`"`)
}

// A page stays fresh by itself, keeps what the viewer opened and typed, and pauses
// while nobody looks at it.
func TestPagesStayFresh(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms")
	b := s.tab()
	b.open("/")
	b.says("#live", "No job has been accepted yet")
	b.do(sendKeys("input[data-search]", "half a wo")...)
	s.submit("shop", "crm", "/ok", 7)
	b.says(`[data-ledger="succeeded"]`, "7")
	b.until("the chart", `!!document.querySelector("#chart-attempts canvas")`)
	eval[bool](b, `(window.kept = document.querySelector("#chart-attempts canvas"), document.querySelector("#chart-attempts details").open = true)`)
	s.submit("shop", "crm", "/ok", 4)
	b.says(`[data-ledger="succeeded"]`, "11")
	if !eval[bool](b, `window.kept.isConnected && document.querySelector("#chart-attempts details").open`) {
		t.Error("an update drew the chart anew, or closed what was open")
	}
	if typed := eval[string](b, `document.querySelector("input[data-search]").value`); typed != "half a wo" {
		t.Errorf("an update changed what was being typed to %q", typed)
	}
	if zone := eval[bool](b, `[...document.querySelectorAll("time")].every(e => "local" in e.dataset && e.title.endsWith("UTC"))`); !zone {
		t.Error("a time is not in the viewer's zone, with UTC beside it")
	}
}

func TestTheme(t *testing.T) {
	s := newScene(t)
	b := s.tab()
	background := `getComputedStyle(document.body).backgroundColor`
	b.prefer("light")
	b.open("/")
	light := eval[string](b, background)
	b.prefer("dark")
	b.until("dark, since the system prefers it", background+` !== "`+light+`"`)
	b.click("[data-theme-toggle]")
	b.until("light, since the viewer does", background+` === "`+light+`"`)
	b.open("/destinations")
	if got := eval[string](b, background); got != light {
		t.Errorf("the choice is forgotten: %s", got)
	}
}

func TestDeepLinks(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms")
	source, destination := "a/b c?&=#%", "d → ü"
	s.submit(source, destination, "/ok", 3)
	s.settled(0)
	b := s.tab()
	b.open("/queue?" + url.Values{"source": {source}, "destination": {destination}}.Encode())
	b.says("h1", source)
	b.open("/sources")
	b.clickText(source)
	b.until("the source's page", `location.pathname === "/source"`)
	b.says("tbody th", destination)
	b.clickText(destination)
	b.until("the queue's page", `location.pathname === "/queue"`)
	b.says("h1", destination)
}
