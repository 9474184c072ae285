package main

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/access/audit"
	"centrifuge/access/identity/identitytest"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/manager"
)

// nobody is the Directors of a fleet that has none.
type nobody struct{}

func (nobody) Status(context.Context) ([]manager.Director, error) { return nil, nil }

func (nobody) Cycle(context.Context, string) (before, now string, err error) {
	return "", "", manager.ErrUnknown
}

// A Manager knows those whom a Director knows, and writes down what they do to the fleet.
func TestAManagerKnowsPeople(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	idp, dir, logger := identitytest.Start(t), t.TempDir(), newLogger(t.Output(), "text", 0)
	for name, text := range map[string]string{
		"tokens": "root:" + adminToken + "\n",
		"groups": "grants:\n  - {group: support, role: viewer}\n  - {group: keepers, role: admin}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, letGo, err := openLocalFleet(t.Context(), dir, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := letGo(); err != nil {
			t.Error(err)
		}
	}()
	folder, err := archive.OpenFolder(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	m, err := f.manage(&manageOptions{}, nobody{}, folder, func(manager.Director) (director.Target, error) { return closedDoor{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Options{Dir: filepath.Join(dir, "audit")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	tracer, err := newTracer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	server, err := newManagerServer(&serveOptions{
		tokenFile: filepath.Join(dir, "tokens"),
		access: accessOptions{
			issuer: idp.Issuer, clientID: identitytest.ClientID, commandClientID: identitytest.CommandID, mapping: filepath.Join(dir, "groups"),
		},
	}, m, log, tracer, logger)
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server.Handler())
	defer listening.Close()
	at := "--server=" + listening.URL

	idp.SignsIn("vic@example.com", "support")
	if r := call(t, "", "login", at); r.err != nil {
		t.Fatalf("login: %v\n%s", r.err, r.stderr)
	}
	if r := call(t, "", "fleet", at); r.err != nil {
		t.Errorf("a viewer does not see the fleet: %v", r.err)
	}
	if r := call(t, "", "fleet", "drain", "jobdb-000099", at); r.err == nil || !strings.Contains(r.err.Error(), "the role viewer may not do this") {
		t.Errorf("a viewer drains: %v", r.err)
	}
	idp.SignsIn("kim@example.com", "keepers")
	if r := call(t, "", "login", at); r.err != nil {
		t.Fatalf("login: %v\n%s", r.err, r.stderr)
	}
	if r := call(t, "", "fleet", "drain", "jobdb-000099", at); r.err == nil || !strings.Contains(r.err.Error(), "jobdb-000099") {
		t.Errorf("a JobDB that is not there was drained: %v", r.err)
	}
	r := call(t, "", "audit", at)
	if r.err != nil || strings.Count(r.stdout, "fleet.drain") != 1 || !strings.Contains(r.stdout, "kim@example.com") {
		t.Errorf("the audit log: %v\n%s", r.err, r.stdout)
	}
}
