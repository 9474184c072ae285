package browser

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
)

// What the pages show is what the ledger has, what the API says and what the
// receiver counted, to the job.
func TestNumbersAgree(t *testing.T) {
	s := newScene(t, "/ok=latency:1ms-5ms", "/flaky=status:200:0.7,500:0.2,429:0.1", "/bad=status:400:2,401:1,404:1", "/down=status:503", "/gone=status:503")
	const ok, flaky, bad, down, expired = 230, 170, 61, 23, 11
	s.submit("shop", "crm", "/ok", ok)
	s.submit("shop", "hooks", "/flaky", flaky, eager)
	s.submit("app", "ads", "/bad", bad)
	s.submit("app", "billing", "/down", down, patient)
	s.submit("shop", "gone", "/gone", expired, eager, func(j *pb.JobSpec) { j.Ttl = durationpb.New(2 * time.Second) })
	await(t, "the archive to have the expired jobs", func() bool { return s.ledger().GetArchived() == expired })
	ledger := s.settled(down)
	stats := s.sink.Stats()

	b := s.tab()
	b.open("/")
	for name, want := range map[string]int64{
		"accepted": ledger.GetAccepted(), "succeeded": ledger.GetSucceeded(), "discarded": ledger.GetDiscarded(),
		"archived": ledger.GetArchived(), "pending": ledger.GetPending(), "accounted": ledger.GetAccepted(),
	} {
		if got := b.number(`[data-ledger="` + name + `"]`); got != strconv.FormatInt(want, 10) {
			t.Errorf("the page says %s %s, and the ledger %d", got, name, want)
		}
	}
	if got := ledger.GetAccepted(); got != ok+flaky+bad+down+expired {
		t.Errorf("%d jobs were accepted, and %d submitted", got, ok+flaky+bad+down+expired)
	}
	if got := uint64(ledger.GetSucceeded()); got != stats.Delivered {
		t.Errorf("the ledger says %d succeeded, and the receiver delivered %d", got, stats.Delivered)
	}

	// The record comes a few seconds later; then it is exact.
	attempts := `[...document.querySelectorAll("tbody tr")].map(r => r.querySelector("th").innerText + " " + r.querySelector("[data-label=Attempts]").innerText.replaceAll(",", "")).join("; ")`
	b.open("/destinations?sort=name&dir=asc")
	b.wait("the attempts that the receiver counted", func() bool {
		routes := s.sink.Stats().Routes // those that are held back are probed now and then
		want := fmt.Sprintf("ads %d; billing %d; crm %d; gone %d; hooks %d", routes["/bad"].Requests, routes["/down"].Requests,
			routes["/ok"].Requests, routes["/gone"].Requests, routes["/flaky"].Requests)
		return eval[string](b, attempts) == want
	})

	b.open("/queue?source=shop&destination=hooks")
	codes := `[...document.querySelectorAll("table.tight tbody tr")].filter(r => r.querySelector(".tag")).map(r => r.querySelector(".tag").innerText + "=" + r.querySelectorAll(".num")[0].innerText).sort().join(" ")`
	replies := stats.Routes["/flaky"].Replies
	want := fmt.Sprintf("200=%d 429=%d 500=%d", replies["200"], replies["429"], replies["500"])
	b.until("the codes that the receiver answered: "+want, fmt.Sprintf(`(%s) === %q`, codes, want))
	b.until("the jobs delivered by each attempt to add up to "+strconv.Itoa(flaky),
		fmt.Sprintf(`[...document.querySelectorAll("table.tight")].at(-1).querySelectorAll("tbody .num:nth-last-child(2)").values().reduce((n, e) => n + +e.innerText, 0) === %d`, flaky))

	b.open("/jobs?destination=ads&state=discarded")
	if n := eval[int](b, `document.querySelectorAll("tbody tr").length`); n != bad {
		t.Errorf("%d discarded jobs are found, want %d", n, bad)
	}
	b.open("/archive?source=shop&destination=gone")
	if n := eval[int](b, `document.querySelectorAll("tbody tr").length`); n != expired {
		t.Errorf("the archive shows %d jobs, want %d", n, expired)
	}
	b.open("/queue?source=app&destination=billing")
	if got := b.number("#pending"); got != strconv.Itoa(down) {
		t.Errorf("the queue shows %s pending jobs, want %d", got, down)
	}
}
