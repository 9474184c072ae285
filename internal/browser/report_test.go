package browser

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
)

// The report on the page and that of the command line are of one opinion, and the
// receiver's.
func testReport(s *scene) {
	b := s.tab()
	b.open("/report")
	number := func(key string) string {
		return b.number(`[data-report="` + key + `"] td.num`)
	}
	stats := s.sink.Stats()
	b.until("the record of the last attempt", fmt.Sprintf(`document.querySelector("[data-report=terminal] td.num").innerText === "%d"`, stats.Routes["/bad"].Requests))
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := exec.CommandContext(s.t.Context(), path, "report", "--json", "--server", s.url).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	type part struct{ Jobs int64 }
	type answer struct {
		Code     string
		Attempts int64
	}
	var report struct {
		Ended        int64
		Delivered    part
		FirstAttempt part `json:"first_attempt"`
		AfterRetries part `json:"after_retries"`
		Discarded    part
		Archived     part

		Terminal, Ephemeral, Network []answer

		Retries []struct{ Attempt, Delivered int64 }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatal(err)
	}
	want := map[string]int64{
		"ended": report.Ended, "delivered": report.Delivered.Jobs, "first": report.FirstAttempt.Jobs, "retried": report.AfterRetries.Jobs,
		"discarded": report.Discarded.Jobs, "archived": report.Archived.Jobs, "undelivered": report.Discarded.Jobs + report.Archived.Jobs,
	}
	for kind, answers := range map[string][]answer{"terminal": report.Terminal, "ephemeral": report.Ephemeral, "network": report.Network} {
		for _, a := range answers {
			want[kind+"-"+a.Code] = a.Attempts
		}
	}
	for _, r := range report.Retries {
		want["attempt-"+strconv.FormatInt(r.Attempt, 10)] = r.Delivered
	}
	if report.Ended == 0 || len(report.Terminal) != 2 || len(report.Ephemeral) == 0 || len(report.Network) == 0 || len(report.Retries) < 2 {
		s.t.Errorf("the report has little to say: %s", out)
	}
	for key, n := range want {
		if got := number(key); got != strconv.FormatInt(n, 10) {
			s.t.Errorf("%s: the page says %s, the command %d", key, got, n)
		}
	}
	b.clickText("1h")
	b.until("the other range", `document.querySelector(".segments [aria-current]").innerText === "1h" && location.search === "?range=1h"`)
}
