package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb/mysql/mysqltest"
)

// Whichever Director is asked shows the queues of all, and gives orders to all: also to
// one that could not be reached, and to one that starts later. Whoever does not answer
// is named.
func TestDirectorsTogether(t *testing.T) {
	t.Parallel()
	f := newFleet(t, ground{})
	f.manager("manager")
	// Leases outlast what c is put through, so that its jobs stay there, and what a busy
	// machine puts the others through.
	lease := []string{"--lease-ttl", "30s"}
	a, b, c := f.director("a", lease...), f.director("b", lease...), f.director("c", lease...)
	paused := &pb.QueueSelector{Destination: "paused"}

	// A pause at one is a pause at all.
	f.await("paused at three Directors", func() (bool, string) {
		resp, err := a.client.Queues.SetPolicy(f.ctx, connect.NewRequest(&pb.SetPolicyRequest{Selector: paused, Policy: &pb.QueuePolicy{Paused: true}}))
		if err != nil {
			return false, err.Error()
		}
		return resp.Msg.GetDirectors() == 3 && len(resp.Msg.GetMissing()) == 0, resp.Msg.String()
	})
	for _, m := range []*member{a, b, c} {
		if p := m.said(paused); !p.GetPaused() {
			t.Errorf("%s has not heard of the pause: %v", m.name, p)
		}
	}

	// Each shows the sum, to the job, and who has what.
	a.submit("paused", 10)
	b.submit("paused", 20)
	c.submit("paused", 30)
	for _, m := range []*member{a, b, c} {
		m.shows(60, "")
		queue := m.queue("paused")
		var holders []string
		for _, h := range queue.GetQueues()[0].GetHolders() {
			holders = append(holders, fmt.Sprint(h.GetDirector(), " ", h.GetReady()))
		}
		slices.Sort(holders) // each names itself first
		if got := strings.Join(holders, ", "); got != "a 10, b 20, c 30" {
			t.Errorf("%s says that the jobs are at %s", m.name, got)
		}
	}

	// One that is frozen is missing, and learns when it wakes.
	c.Signal(syscall.SIGSTOP)
	a.shows(30, "c")
	resp, err := b.client.Queues.SetPolicy(f.ctx, connect.NewRequest(&pb.SetPolicyRequest{
		Selector: paused, Policy: &pb.QueuePolicy{Paused: true, Weight: 7},
	}))
	if err != nil || resp.Msg.GetDirectors() != 2 || len(resp.Msg.GetMissing()) != 1 || resp.Msg.GetMissing()[0].GetDirector() != "c" {
		t.Errorf("an order to all while c is frozen: %v, %v", resp, err)
	}
	c.Signal(syscall.SIGCONT)
	f.await("known at the one that was frozen", func() (bool, string) {
		p := c.said(paused)
		return p.GetPaused() && p.GetWeight() == 7, p.String()
	})
	a.shows(60, "") // wherever its jobs are by now

	// So is one that is dead, until its jobs are at others.
	c.kill()
	b.shows(30, "c")
	if text, said := b.page("/"); !strings.Contains(text, "These figures are incomplete") {
		t.Errorf("the overview says nothing of what is missing: %s", said)
	}
	a.shows(60, "")

	// One that starts now knows what was said before, as soon as it takes jobs.
	d := f.director("d", lease...)
	if p := d.said(paused); !p.GetPaused() || p.GetWeight() != 7 {
		t.Errorf("a new Director has the policy %v", p)
	}

	// What is to be tried again now, and what is to be archived, is so at all.
	for _, m := range []*member{a, b, d} {
		m.submit("down", 5, func(j *pb.JobSpec) {
			j.Endpoint, j.Retry = "http://127.0.0.1:1/", &pb.RetryPolicy{MinBackoff: durationpb.New(time.Hour), MaxBackoff: durationpb.New(time.Hour)}
		})
	}
	waiting := func(n int64) {
		t.Helper()
		f.await(fmt.Sprint(n, " jobs waiting"), func() (bool, string) {
			resp := a.queue("down")
			return len(resp.GetQueues()) == 1 && resp.GetQueues()[0].GetWaiting() == n, resp.String()
		})
	}
	waiting(15)
	retried, err := d.client.Queues.Retry(f.ctx, connect.NewRequest(&pb.RetryRequest{Selector: &pb.QueueSelector{Source: "shop", Destination: "down"}}))
	if err != nil || retried.Msg.GetJobs() != 15 || retried.Msg.GetDirectors() != 3 || len(retried.Msg.GetMissing()) > 0 {
		t.Errorf("retried: %v, %v", retried, err)
	}
	waiting(15)
	expired, err := b.client.Queues.Expire(f.ctx, connect.NewRequest(&pb.ExpireRequest{Selector: &pb.QueueSelector{Source: "shop"}}))
	if err != nil || expired.Msg.GetJobs() != 75 || expired.Msg.GetDirectors() != 3 {
		t.Errorf("archived: %v, %v", expired, err)
	}
	f.await("archived", func() (bool, string) {
		l, balanced, said := f.ledger()
		return balanced && l.GetArchived() == 75 && l.GetPending() == 0, said
	})

	// Each order is written down once: where it was given.
	for m, want := range map[*member]int{a: 0, b: 1, d: 0} {
		log, err := m.client.Audit.List(f.ctx, connect.NewRequest(&pb.AuditServiceListRequest{Action: "queue.expire"}))
		if err != nil || len(log.Msg.GetEntries()) != want {
			t.Errorf("%s has written down %v, %v; want %d orders to archive", m.name, log, err, want)
		}
	}
}

// Of the Directors that share a record one looks for alerts, so each is told of once;
// all show it.
func TestAnAlertIsToldOfOnce(t *testing.T) {
	t.Parallel()
	mysql := mysqltest.Start(t).Address
	f := newFleet(t, ground{mysql: mysql})
	rules := filepath.Join(f.dir, "rules.yaml")
	text := "every: 1s\noldest_waiting: {above: 1s}\nnotify: [{url: " + f.endpoint.url + "/told}]\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf("mysql://%s@%s/jobs_e2e_history?password-file=%s", mysqltest.User, mysql, filepath.Join(f.dir, "password"))
	f.manager("manager")
	directors := []*member{}
	for _, name := range []string{"a", "b", "c"} {
		directors = append(directors, f.director(name, "--alert-rules", rules, "--history", record))
	}
	if _, err := directors[0].client.Queues.SetPolicy(f.ctx, connect.NewRequest(&pb.SetPolicyRequest{
		Selector: &pb.QueueSelector{Destination: "paused"}, Policy: &pb.QueuePolicy{Paused: true},
	})); err != nil {
		t.Fatal(err)
	}
	directors[1].submit("paused", 1) // at whoever looks or not
	for _, m := range directors {
		f.await("alarmed at "+m.name, func() (bool, string) {
			resp, err := m.client.Visibility.Alerts(f.ctx, connect.NewRequest(&pb.AlertsRequest{}))
			if err != nil {
				return false, err.Error()
			}
			return len(resp.Msg.GetAlerts()) == 1 && resp.Msg.GetAlerts()[0].GetRule() == "oldest_waiting", resp.Msg.String()
		})
	}
	f.await("told", func() (bool, string) { n, _ := f.endpoint.counts(); return n > 0, "" })
	f.pass(3 * time.Second) // in which each of them would have looked
	if n, _ := f.endpoint.counts(); n != 1 {
		t.Errorf("an alert was told of %d times\n%s", n, f.logs())
	}
}

// submit gives the Director n jobs of the source shop.
func (m *member) submit(destination string, n int, change ...func(*pb.JobSpec)) {
	m.f.Helper()
	req := &pb.SubmitRequest{}
	for range n {
		job := &pb.JobSpec{Source: "shop", Destination: destination, Endpoint: m.f.endpoint.url + "/"}
		for _, c := range change {
			c(job)
		}
		req.Jobs = append(req.Jobs, job)
	}
	if _, err := m.client.Submit(m.f.ctx, req); err != nil {
		m.f.Fatal(err)
	}
}

// said is what the Director itself knows to have been said of the scope.
func (m *member) said(scope *pb.QueueSelector) *pb.QueuePolicy {
	m.f.Helper()
	resp, err := m.client.Director.Survey(m.f.ctx, connect.NewRequest(&pb.SurveyRequest{Selector: scope}))
	if err != nil {
		return nil // it has no JobDB at the moment
	}
	return resp.Msg.GetSaid().GetPolicy()
}

// queue is the queue of the source shop for a destination, as the Director shows it.
func (m *member) queue(destination string) *pb.QueueServiceListResponse {
	m.f.Helper()
	resp, err := m.client.Queues.List(m.f.ctx, connect.NewRequest(&pb.QueueServiceListRequest{
		Selector: &pb.QueueSelector{Source: "shop", Destination: destination},
	}))
	if err != nil {
		m.f.Fatal(err)
	}
	return resp.Msg
}

// shows waits until the Director shows so many pending jobs, without what one of the
// others has, if that is named: in the listing of queues, in the ledger by queue, on
// the page of the queue, and, if all answer, on the overview, as the Manager counts
// them.
func (m *member) shows(pending int64, without string) {
	m.f.Helper()
	m.f.await(fmt.Sprintf("%d jobs pending at %s, without %q", pending, m.name, without), func() (bool, string) {
		list := m.queue("paused")
		if len(list.GetQueues()) != 1 || list.GetQueues()[0].GetReady() != pending || !fits(list.GetMissing(), without) {
			return false, list.String()
		}
		resp, err := m.client.Ledger.Get(m.f.ctx, connect.NewRequest(&pb.LedgerServiceGetRequest{ByQueue: true}))
		if err != nil {
			return false, err.Error()
		}
		ledger := resp.Msg
		if len(ledger.GetQueues()) != 1 || ledger.GetQueues()[0].GetLedger().GetPending() != pending ||
			!fits(ledger.GetMissing(), without) || ledger.GetBalanced() != (without == "") {
			return false, ledger.String()
		}
		page, said := m.page("/queue?source=shop&destination=paused")
		if !strings.Contains(page, fmt.Sprintf(`id="pending">%d<`, pending)) ||
			strings.Contains(page, "These figures are incomplete") != (without != "") ||
			without != "" && !strings.Contains(page, "Director "+without) {
			return false, said
		}
		if without != "" {
			return true, ""
		}
		whole, balanced, text := m.f.ledger()
		page, said = m.page("/")
		return balanced && whole.GetPending() == pending && strings.Contains(page, fmt.Sprintf(`data-ledger="pending">%d<`, pending)), text + said
	})
}

// page is a page of the dashboard.
func (m *member) page(path string) (text, said string) {
	m.f.Helper()
	status, text := m.get(path)
	return text, fmt.Sprintf("%s: status %d: %s", path, status, text)
}

// fits reports whether exactly what is wanted is missing.
func fits(missing []*pb.Missing, director string) bool {
	if director == "" {
		return len(missing) == 0
	}
	return named(missing, director)
}

func named(missing []*pb.Missing, director string) bool {
	for _, m := range missing {
		if m.GetDirector() == director {
			return true
		}
	}
	return false
}
