package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlite"
	"centrifuge/lease/leasetest"
)

// What the commands tell of a hundred jobs equals the ledger and what the receiver
// counted, after a restart too.
func TestStatsAndReport(t *testing.T) {
	receiver, url := startSink(t, "/takes=status:200", "/refuses=status:401")
	dir := t.TempDir()
	s := startServe(t, dir)
	var lines strings.Builder
	for i := range 100 {
		path := "takes"
		if i%4 == 0 {
			path = "refuses"
		}
		fmt.Fprintf(&lines, `{"source":"s%d","destination":"%s","endpoint":"%s/%s"}`+"\n", i%2, path, url, path)
	}
	server := "--server=http://" + s.address
	eventually(t, "submitted", func() (bool, string) {
		r := call(t, "", "ledger", server)
		return r.err == nil, fmt.Sprint(r.err)
	})
	must(t, lines.String(), "submit", server, "-f", "-")
	eventually(t, "recorded", func() (bool, string) {
		out := must(t, "", "stats", server, "--by", "source", "--json")
		var accepted, ended int64
		for line := range strings.Lines(out) {
			var row pb.TopRow
			mustJSON(t, line, &row)
			accepted += row.GetCounts().GetAccepted()
			ended += row.GetCounts().GetSucceeded() + row.GetCounts().GetDiscarded()
		}
		return accepted == 100 && ended == 100, out
	})
	// A search finds jobs for as long as their JobDB lives.
	for args, want := range map[string]string{
		"search --code 401 --limit 3":                         "discarded",
		"search --destination takes --state succeeded --json": `"statusCode":200`,
	} {
		if out := must(t, "", append(strings.Fields(args), server)...); !strings.Contains(out, want) {
			t.Errorf("%s does not tell %q:\n%s", args, want, out)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := "http://" + startServe(t, dir).address
	awaitReady(t, http.DefaultClient, again)
	server = "--server=" + again

	var report study
	if err := json.Unmarshal([]byte(must(t, "", "report", server, "--json")), &report); err != nil {
		t.Fatal(err)
	}
	counts := receiver.Stats()
	if report.Ended != 100 || report.Delivered.Jobs != 75 || report.FirstAttempt.Share != 0.75 || report.Discarded.Jobs != 25 ||
		len(report.Terminal) != 1 || report.Terminal[0] != (answer{"401", 25, 0.25}) || len(report.Retries) != 1 || report.Incomplete != nil {
		t.Errorf("the report is %+v", report)
	}
	if counts.Requests != uint64(report.Attempts) {
		t.Errorf("the receiver counted %+v, the report %d attempts", counts, report.Attempts)
	}
	text := must(t, "", "report", server)
	for _, want := range []string{"at the first attempt  75", "TERMINAL ANSWERS", "401", "25.00 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not tell %q:\n%s", want, text)
		}
	}
	for _, test := range []struct{ args, want string }{
		{"stats", "takes"},
		{"stats --by queue --order failures --limit 1", "refuses"},
		{"stats --by code --destination refuses", "discarded  401   25        100.00 %"},
		{"stats --by attempt", "75"},
		{"stats --by time --step 24h", "100"},
		{"top", "delivered/s"},
		{"top --json --by source", `"source":"s1"`},
		{"samples --source s0 --destination refuses", "401 after"},
		{"alerts", "RULE"},
	} {
		if out := must(t, "", append(strings.Fields(test.args), server)...); !strings.Contains(out, test.want) {
			t.Errorf("%s does not tell %q:\n%s", test.args, test.want, out)
		}
	}
	for _, wrong := range []string{
		"stats --by moon", "stats --order worst", "stats --limit 0", "stats --since soon", "top --every 1ms", "top --window 1s",
		"samples --source s0", "search --limit 0", "search --until yesterday",
	} {
		if r := call(t, "", append(strings.Fields(wrong), server)...); r.code() != exitUsage {
			t.Errorf("%s: exit code %d, %v", wrong, r.code(), r.err)
		}
	}
}

// A rule that finds something tells a webhook, and pauses the queue, through
// Centrifuge itself.
func TestAlertsActThroughCentrifuge(t *testing.T) {
	receiver, url := startSink(t, "/refuses=status:403", "/hook=status:200")
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte("auth_streak: {count: 3, pause: 3}\nnotify: [{url: '"+url+"/hook'}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	past := openHistory(t.Context(), &historyOptions{dataDir: dir, retention: 1e15}, newLogger(t.Output(), "text", 0))
	o := serveOptions{maxPerDestination: 8, maxInFlight: 8}
	if err := (*networks)(&o.allowNetworks).Set("127.0.0.0/8"); err != nil {
		t.Fatal(err)
	}
	deliverer, err := newDeliverer(&o, past)
	if err != nil {
		t.Fatal(err)
	}
	defer deliverer.Close()
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	serving := make(chan struct{}, 1)
	d, err := director.New(director.Options{
		Acquire: func(context.Context) (director.Holding, error) {
			return director.Holding{
				Name: jobdb.Name(1), Lease: leasetest.New(0),
				Open: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
					return sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "jobs.db"), Epoch: epoch})
				},
			}, nil
		},
		Serving: func() { serving <- struct{}{} }, Deliverer: deliverer, Archive: archive.New(folder), Observe: past.observer(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := past.close(); err != nil {
			t.Error(err)
		}
	}()
	<-serving
	f := &fleet{logger: newLogger(t.Output(), "text", 0)}
	f.together(d)
	watch, err := f.watch(rules, d, ownLedger{&fleetLedger{}, d}, past, nil)
	if err != nil {
		t.Fatal(err)
	}
	queue := centrifuge.QueueKey{Source: "s", Destination: "d"}
	for range 3 {
		if _, err := d.Submit(t.Context(), director.Submission{Jobs: []*centrifuge.Job{{Source: queue.Source, Destination: queue.Destination, Endpoint: url + "/refuses"}}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "refused three times", func() (bool, string) {
		l, err := d.Ledger()
		return err == nil && l.Discarded == 3, fmt.Sprintf("%+v, %v", l, err)
	})
	if err := watch.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	policy, err := d.Policy(queue)
	if err != nil || !policy.Paused {
		t.Errorf("the queue's policy is %+v, %v", policy, err)
	}
	eventually(t, "told", func() (bool, string) {
		l, err := d.Ledger()
		return err == nil && l.Succeeded == 1, fmt.Sprintf("%+v, %v", l, err)
	})
	alerts, err := (&shownAlerts{watch}).Alerts(t.Context())
	if err != nil || len(alerts) != 1 || alerts[0].Rule != "auth_streak" || !strings.Contains(alerts[0].Text, "paused") {
		t.Errorf("alerts %+v, %v", alerts, err)
	}
	if counts := receiver.Stats(); counts.Requests != 4 {
		t.Errorf("the receiver has %+v", counts)
	}
	if _, err := f.watch(filepath.Join(dir, "none.yaml"), d, nil, past, nil); err == nil {
		t.Error("a file of rules that is not there was read")
	}
}

// ownLedger is that of a Director alone.
type ownLedger struct {
	*fleetLedger
	own *director.Director
}

func (l ownLedger) Ledger(context.Context) (director.Ledger, []fanout.Missing, error) {
	ledger, err := l.own.Ledger()
	return ledger, nil, err
}
