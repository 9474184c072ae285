package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/access/links"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Deny by default is only as good as the table is complete: a new procedure that
// nobody may call is found here, not by its first caller.
func TestEveryProcedureHasItsNeed(t *testing.T) {
	all := procedures()
	if len(all) < 12 || !all[submitPath] {
		t.Fatalf("the schema has %d procedures", len(all))
	}
	for path := range all {
		if access.OfProcedure(path) == (access.Need{}) {
			t.Errorf("%s has no entry in access.OfProcedure", path)
		}
	}
}

// A token of each kind, in the order of the columns below.
var kinds = []string{"submitter", "viewer", "operator", "admin", "viewer:shop", "operator:shop", "operator:shop,app", "submitter:shop"}

func secret(kind string) string {
	return strings.NewReplacer(":", "-", ",", "+").Replace(kind) + "-0123456789"
}

func kindsFile() string {
	var lines []string
	for _, kind := range kinds {
		lines = append(lines, "t:"+kind+":"+secret(kind))
	}
	return strings.Join(lines, "\n")
}

// fakeLinks are links that nobody can follow.
type fakeLinks struct{ *links.Register }

func (f fakeLinks) Create(ctx context.Context, l links.Link) (string, error) {
	return "/customer/" + l.Source, f.Add(ctx, l)
}

// newLinks has the link "one" to shop and "two" to app.
func newLinks(t *testing.T, log *audit.Log) *CustomerLinks {
	t.Helper()
	notes, err := links.OpenFolder(filepath.Join(t.TempDir(), "links"))
	if err != nil {
		t.Fatal(err)
	}
	r := links.New(notes, nil)
	made := time.Now().Add(-time.Hour)
	for id, source := range map[string]string{"one": "shop", "two": "app"} {
		if err := r.Add(t.Context(), links.Link{ID: id, Source: source, By: "t", Made: made, Until: made.Add(2 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	return &CustomerLinks{Maker: fakeLinks{r}, Register: r, Log: log}
}

// The letters are what each kind of token gets: . an answer, d permission_denied,
// n not_found, - unauthenticated. The last column is no token.
func TestWhoMayCallEveryProcedure(t *testing.T) {
	id := centrifuge.ID{1}
	theirs := centrifuge.ID{2}
	backend := &fake{
		get: func(got centrifuge.ID) (jobdb.Trace, error) {
			job := centrifuge.Job{ID: got, Source: "shop"}
			if got == theirs {
				job.Source = "other"
			}
			return jobdb.Trace{Job: job}, nil
		},
		page: archive.Page{},
	}
	log, err := audit.Open(audit.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	address := serve(t, Options{
		Backends: withFleet(backend.backends()), Tokens: openTokens(t, kindsFile()), Audit: log, Links: newLinks(t, log),
		Login: &Login{Issuer: "https://id.example", ClientID: "cli"}, Profiles: true,
	})

	const job = `{"jobs": [{"source": "%s", "endpoint": "http://e.example/"}]}`
	tested := map[string]bool{}
	for _, test := range []struct{ procedure, request, want string }{
		{"JobService/Submit", fmt.Sprintf(job, "shop"), ".dd.ddd.-"},
		{"JobService/Submit", fmt.Sprintf(job, "other"), ".dd.dddd-"},
		{"JobService/Submit", `{"jobs": [{"source": "shop", "endpoint": "http://e.example/"}, {"source": "other", "endpoint": "http://e.example/"}]}`, ".dd.dddd-"},
		{"JobService/Commit", `{"transactionIds": ["t"]}`, ".dd.ddd.-"},
		{"JobService/Abort", `{"transactionIds": ["t"]}`, ".dd.ddd.-"},
		{"JobService/Transactions", `{"ids": ["t"]}`, ".dd.ddd.-"},
		{"JobService/Get", `{"id": "` + id.String() + `"}`, "d......d-"},
		{"JobService/Get", `{"id": "` + theirs.String() + `"}`, "d...nnnd-"},
		{"QueueService/List", `{}`, "d.....dd-"},
		{"QueueService/List", `{"selector": {"source": "shop"}}`, "d......d-"},
		{"QueueService/List", `{"selector": {"source": "app"}}`, "d...dd.d-"},
		{"QueueService/List", `{"selector": {"source": "other"}}`, "d...dddd-"},
		{"QueueService/ListDestinations", `{}`, "d...dddd-"},
		{"QueueService/GetPolicy", `{"selector": {"source": "shop"}}`, "d......d-"},
		{"QueueService/GetPolicy", `{"selector": {"source": "other", "destination": "d"}}`, "d...dddd-"},
		{"QueueService/SetPolicy", `{"selector": {"source": "shop"}}`, "dd..d..d-"},
		{"QueueService/SetPolicy", `{"selector": {"source": "other"}}`, "dd..dddd-"},
		{"QueueService/SetPolicy", `{"selector": {"destination": "d"}}`, "dd..dddd-"},
		{"QueueService/Retry", `{"selector": {"source": "shop", "destination": "d"}}`, "dd..d..d-"},
		{"QueueService/Retry", `{"selector": {"source": "other", "destination": "d"}}`, "dd..dddd-"},
		{"QueueService/Retry", `{"selector": {"destination": "d"}}`, "dd..dddd-"},
		{"QueueService/Retry", `{}`, "dd..dddd-"},
		{"QueueService/Expire", `{"selector": {"source": "shop"}}`, "dd..d..d-"},
		{"QueueService/Expire", `{"selector": {"source": "other"}}`, "dd..dddd-"},
		{"QueueService/Expire", `{}`, "dd..dddd-"},
		{"ArchiveService/List", `{}`, "d.....dd-"},
		{"ArchiveService/List", `{"filter": {"source": "other"}}`, "d...dddd-"},
		{"ArchiveService/Replay", `{"filter": {"source": "shop"}}`, "dd..d..d-"},
		{"ArchiveService/Replay", `{"filter": {"source": "other"}}`, "dd..dddd-"},
		{"ArchiveService/Replay", `{"filter": {"jobId": "` + theirs.String() + `"}}`, "dd..dddd-"},
		{"LedgerService/Get", `{}`, "d.....dd-"},
		{"LedgerService/Get", `{"byQueue": true, "selector": {"source": "shop"}}`, "d......d-"},
		{"LedgerService/Get", `{"byQueue": true, "selector": {"source": "other"}}`, "d...dddd-"},
		{"LedgerService/Get", `{"verify": true}`, "d...dddd-"},
		{"FleetService/Get", `{}`, "d...dddd-"},
		{"FleetService/Ledger", `{}`, "d...dddd-"},
		{"FleetService/Cycle", `{"director": "a"}`, "ddd.dddd-"},
		{"FleetService/Drain", `{"jobdb": "jobdb-000001"}`, "ddd.dddd-"},
		{"DirectorService/Status", `{}`, "ddd.dddd-"},
		{"DirectorService/Cycle", `{}`, "ddd.dddd-"},
		{"DirectorService/Accept", `{"from": "jobdb-000001", "to": "jobdb-000002"}`, "ddd.dddd-"},
		{"DirectorService/Survey", `{}`, "ddd.dddd-"},
		{"DirectorService/Policies", `{}`, "ddd.dddd-"},
		{"DirectorService/Learn", `{}`, "ddd.dddd-"},
		{"DirectorService/Order", `{"selector": {"source": "shop"}}`, "ddd.dddd-"},
		{"DirectorService/Search", `{"budget": "1s"}`, "ddd.dddd-"},
		{"DirectorService/Watch", `{}`, "ddd.dddd-"},
		{"AuditService/List", `{}`, "dd..d.dd-"},
		{"AuditService/List", `{"source": "other"}`, "dd..dddd-"},
		{"AccessService/GetLogin", `{}`, "........."},
		{"AccessService/WhoAmI", `{}`, "........-"},
		{"AccessService/CreateCustomerLink", `{"source": "shop"}`, "ddd.dddd-"},
		{"AccessService/ListCustomerLinks", `{}`, "ddd.dddd-"},
		{"AccessService/RevokeCustomerLink", `{"id": "one"}`, "ddd.dddd-"},
		{"AccessService/RevokeCustomerLink", `{"id": "three"}`, "dddndddd-"},
	} {
		tested["/centrifuge.v1."+test.procedure] = true
		got := ""
		for _, kind := range append(slices.Clip(kinds), "") {
			var headers []string
			if kind != "" {
				headers = []string{"Authorization", "Bearer " + secret(kind)}
			}
			status, _, content := post(t, address, "/centrifuge.v1."+test.procedure, test.request, headers...)
			var answer struct{ Code string }
			if err := json.Unmarshal([]byte(content), &answer); err != nil {
				t.Fatalf("%s: %v: %s", test.procedure, err, content)
			}
			letter, ok := map[string]string{"": ".", "permission_denied": "d", "not_found": "n", "unauthenticated": "-"}[answer.Code]
			if !ok || (letter == ".") != (status == 200) {
				t.Errorf("%s %s by %q: status %d: %s", test.procedure, test.request, kind, status, content)
			}
			got += letter
		}
		if got != test.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s of %q", test.procedure, test.request, got, test.want, kinds)
		}
	}
	for path := range procedures() {
		if !tested[path] && slices.Contains([]string{"JobService", "QueueService", "ArchiveService", "LedgerService", "FleetService", "DirectorService", "AuditService", "AccessService"},
			strings.Split(strings.TrimPrefix(path, "/centrifuge.v1."), "/")[0]) {
			t.Errorf("%s is not tested", path)
		}
	}

	for path, want := range map[string]string{"/metrics": "d...dddd-", "/debug/pprof/cmdline": "ddd.dddd-"} {
		got := ""
		for _, kind := range append(slices.Clip(kinds), "") {
			status, _, _ := get(t, "http://"+address+path, "Authorization", "Bearer "+secret(kind))
			got += map[int]string{200: ".", 403: "d", 401: "-"}[status]
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s of %q", path, got, want, kinds)
		}
	}
}

// What one that is bound to a source is shown of lists is what was asked of the
// backend in its name.
func TestListsAreNarrowed(t *testing.T) {
	var selected schedule.Selector
	backend := &fake{queues: func(sel schedule.Selector, _ centrifuge.QueueKey, _ int) ([]schedule.QueueInfo, bool, error) {
		selected = sel
		return nil, false, nil
	}}
	backend.byQueue = []director.QueueLedger{
		{Ledger: director.Ledger{Accepted: 5, Succeeded: 2, AwaitingRetry: 3}},
		{Ledger: director.Ledger{Accepted: 10, Archived: 4, Discarded: 1, Moved: 2, Executing: 1, AwaitingScheduling: 1, Archiving: 1}},
	}
	backend.ledgers[0] = director.Ledger{Accepted: 1000, Succeeded: 1000}
	address := serve(t, Options{Backends: backend.backends(), Tokens: openTokens(t, kindsFile())})
	call := func(procedure, request string) string {
		status, _, content := post(t, address, "/centrifuge.v1."+procedure, request, "Authorization", "Bearer "+secret("viewer:shop"))
		if status != 200 {
			t.Fatalf("%s: status %d: %s", procedure, status, content)
		}
		return content
	}

	call("QueueService/List", `{"selector": {"destination": "d"}}`)
	if want := (schedule.Selector{Source: "shop", Destination: "d"}); selected != want {
		t.Errorf("listed were the queues of %+v", selected)
	}
	call("ArchiveService/List", `{"filter": {"destination": "d"}}`)
	if f := backend.asked()[0].(archive.Filter); f.Source != "shop" || f.Destination != "d" {
		t.Errorf("listed was the archive of %+v", f)
	}
	call("QueueService/GetPolicy", `{"selector": {"destination": "d"}}`)
	if key := backend.asked()[0].(centrifuge.QueueKey); key.Source != "shop" {
		t.Errorf("told was the policy of %+v", key)
	}
	content := call("LedgerService/Get", `{}`)
	if sel := backend.asked()[0].(schedule.Selector); sel.Source != "shop" {
		t.Errorf("the ledger is that of %+v", sel)
	}
	var ledger struct {
		Total    map[string]string
		Balanced bool
	}
	if err := json.Unmarshal([]byte(content), &ledger); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"accepted": "15", "succeeded": "2", "discarded": "1", "archived": "4", "moved": "2", "pending": "6",
		"awaitingScheduling": "1", "executing": "1", "awaitingRetry": "3", "archiving": "1",
	} {
		if ledger.Total[field] != want {
			t.Errorf("%s is %s, want %s", field, ledger.Total[field], want)
		}
	}
	if !ledger.Balanced {
		t.Error("the ledger does not balance")
	}
}

func TestActionsAreWrittenDown(t *testing.T) {
	log, err := audit.Open(audit.Options{Dir: filepath.Join(t.TempDir(), "audit")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	address := serve(t, Options{Tokens: openTokens(t, kindsFile()), Audit: log, Links: newLinks(t, log)})
	as := func(kind, procedure, request string) string {
		_, _, content := post(t, address, "/centrifuge.v1."+procedure, request, "Authorization", "Bearer "+secret(kind))
		return content
	}
	as("operator", "QueueService/SetPolicy", `{"selector": {"source": "shop", "destination": "crm"}, "policy": {"paused": true}}`)
	as("operator:shop", "QueueService/Retry", `{"selector": {"source": "shop"}}`)
	as("operator:shop", "QueueService/Expire", `{"selector": {"source": "other"}}`)
	as("admin", "ArchiveService/Replay", `{"filter": {"source": "shop", "statusCode": 503, "since": "2026-01-02T03:04:05Z"}}`)
	as("admin", "AccessService/CreateCustomerLink", `{"source": "shop"}`)
	as("admin", "AccessService/RevokeCustomerLink", `{"id": "two"}`)
	as("viewer", "QueueService/Expire", `{"selector": {"source": "shop"}}`) // turned away at the door

	var told struct {
		Entries []struct{ Who, Role, Address, Action, Source, Destination, Detail, Outcome, Jobs string }
	}
	if err := json.Unmarshal([]byte(as("admin", "AuditService/List", `{}`)), &told); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range told.Entries {
		detail, _, _ := strings.Cut(e.Detail, " 20") // the time of a link's end
		if id, until, ok := strings.Cut(detail, " "); ok && until == "until" && len(id) == 10 {
			detail = until
		}
		got = append(got, strings.Join([]string{e.Role, e.Action, e.Source, e.Destination, detail, e.Outcome, e.Jobs}, "|"))
		if e.Who != "t" || e.Address != "127.0.0.1" {
			t.Errorf("done by %q from %q", e.Who, e.Address)
		}
	}
	want := []string{
		"admin|customer.revoke|app||two|ok|0",
		"admin|customer.link|shop||until|ok|0",
		"admin|archive.replay|shop||since=2026-01-02T03:04:05Z status=503|ok|5",
		"operator|queue.expire|other|||these rights do not reach this source; they are bound to shop|0",
		"operator|queue.retry|shop|||ok|3",
		"operator|queue.policy|shop|crm|{\"paused\":true}|ok|0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told is\n%s", strings.Join(got, "\n"))
	}
	if content := as("operator:shop", "AuditService/List", `{}`); strings.Contains(content, `"other"`) || !strings.Contains(content, "queue.retry") {
		t.Errorf("one that is bound to shop is shown %s", content)
	}
}

// An admin that is bound to sources lists and revokes the links to these.
func TestLinksOfBoundAdmins(t *testing.T) {
	const token = "bound-0123456789"
	address := serve(t, Options{Tokens: openTokens(t, "b:admin:shop:"+token), Links: newLinks(t, nil)})
	call := func(procedure, request string) (int, string) {
		status, _, content := post(t, address, "/centrifuge.v1.AccessService/"+procedure, request, "Authorization", "Bearer "+token)
		return status, content
	}
	if status, content := call("CreateCustomerLink", `{"source": "shop"}`); status != 200 || !strings.Contains(content, `"id":"`) {
		t.Errorf("a link is made with %d: %s", status, content)
	}
	if status, content := call("RevokeCustomerLink", `{"id": "one"}`); status != 200 {
		t.Errorf("revoked with %d: %s", status, content)
	}
	if status, content := call("RevokeCustomerLink", `{"id": "two"}`); status != 403 || !strings.Contains(content, "bound to shop") {
		t.Errorf("a link to another source is revoked with %d: %s", status, content)
	}
	var told struct {
		Links []struct{ ID, Source, CreatedBy, RevokedBy, RevokedAt, ExpireAt, CreatedAt string }
	}
	_, content := call("ListCustomerLinks", `{}`)
	if err := json.Unmarshal([]byte(content), &told); err != nil {
		t.Fatal(err)
	}
	if len(told.Links) != 2 || told.Links[0].RevokedAt != "" || told.Links[0].CreatedBy != "b" ||
		told.Links[1].ID != "one" || told.Links[1].Source != "shop" || told.Links[1].RevokedBy != "b" || told.Links[1].RevokedAt == "" {
		t.Errorf("listed is %s", content)
	}
	if _, content := call("ListCustomerLinks", `{"source": "app"}`); content != `{"links":[]}` {
		t.Errorf("of another source listed is %s", content)
	}
}

// An action that cannot be written down is not done.
func TestNothingIsDoneWithoutTheLog(t *testing.T) {
	log, err := audit.Open(audit.Options{Dir: t.TempDir(), Now: func() time.Time { return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	backend := &fake{}
	guarded := Guard(backend.backends(), log)
	ctx := access.With(t.Context(), access.Local())
	if _, _, err := guarded.Queues.Retry(ctx, schedule.Selector{Source: "s"}); err == nil { // JSON has no year 10000
		t.Error("it was done, or said to be")
	}
	if asked := backend.asked(); asked != nil {
		t.Errorf("it was done: %v", asked)
	}
	if _, _, err := guarded.Queues.Retry(t.Context(), schedule.Selector{Source: "s"}); err == nil {
		t.Error("nobody did something")
	} else if denied := new(access.DeniedError); errors.As(err, &denied) {
		t.Error("a refusal was told that could not be written down")
	}
}

// The services of a fleet are not reached by those who may not call them; the
// backends of this test would not survive it.
func TestWhoMayNotCallTheFleet(t *testing.T) {
	b := (&fake{}).backends()
	b.Director, b.Fleet = struct{ DirectorBackend }{}, struct{ FleetBackend }{}
	address := serve(t, Options{Backends: b, Tokens: openTokens(t, kindsFile())})
	for path := range procedures() {
		service, method, _ := strings.Cut(strings.TrimPrefix(path, "/centrifuge.v1."), "/")
		var may []string
		switch {
		case service == "FleetService" && (method == "Get" || method == "Ledger"):
			may = []string{"viewer", "operator", "admin"}
		case service == "FleetService", service == "DirectorService":
			may = []string{"admin"}
		default:
			continue
		}
		for _, kind := range kinds {
			if slices.Contains(may, kind) {
				continue
			}
			if status, _, content := post(t, address, path, `{}`, "Authorization", "Bearer "+secret(kind)); status != 403 {
				t.Errorf("%s by %s: status %d: %s", path, kind, status, content)
			}
		}
		if status, _, _ := post(t, address, path, `{}`); status != 401 {
			t.Errorf("%s without a token: status %d", path, status)
		}
	}
}
