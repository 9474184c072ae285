package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openedPage has commands open pages in a browser that is a file, and returns what was
// opened in it, once something was.
func openedPage(t *testing.T) func() *url.URL {
	t.Helper()
	dir := t.TempDir()
	script, opened := filepath.Join(dir, "browser"), filepath.Join(dir, "opened")
	text := fmt.Sprintf("#!/bin/sh\nprintf '%%s' \"$1\" > %[1]s.new && mv %[1]s.new %[1]s\n", opened)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BROWSER", script)
	return func() (page *url.URL) {
		eventually(t, "opened", func() (bool, string) {
			text, err := os.ReadFile(opened)
			if err == nil {
				page, err = url.Parse(string(text))
			}
			return err == nil, fmt.Sprint(err)
		})
		return page
	}
}

func fetch(t *testing.T, address string) (int, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(content)
}

func TestLoginByBrowser(t *testing.T) {
	s, idp, _ := startClosed(t)
	server := "--server=http://" + s.address
	idp.SignsIn("ann@example.com", "shop-team")
	page := openedPage(t)
	login := func() <-chan result {
		ended := make(chan result, 1)
		go func() { ended <- call(t, "", "login", server) }()
		return ended
	}
	ended := login()
	asked := page()
	q := asked.Query()
	redirect := q.Get("redirect_uri")
	if !strings.HasPrefix(redirect, "http://127.0.0.1:") || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
		t.Errorf("asked is %s", asked)
	}
	// What somebody else sends there ends nothing.
	for _, bad := range []string{"?code=x", "?code=x&state=" + q.Get("nonce"), "x?code=x&state=" + q.Get("state")} {
		if status, _ := fetch(t, redirect+bad); status != http.StatusBadRequest {
			t.Errorf("%s got %d", bad, status)
		}
	}
	if status, content := fetch(t, asked.String()); status != http.StatusOK || !strings.Contains(content, "Go back to the terminal") {
		t.Errorf("the browser is shown %d: %s", status, content)
	}
	r := <-ended
	if r.err != nil || !strings.Contains(r.stdout, "ann@example.com") || !strings.Contains(r.stdout, "operator") {
		t.Fatalf("login: %v\n%s%s", r.err, r.stderr, r.stdout)
	}
	must(t, "", "logout", server)
}

func TestLoginByBrowserFails(t *testing.T) {
	s, idp, _ := startClosed(t)
	server := "--server=http://" + s.address
	idp.SignsIn("ann@example.com", "shop-team")
	for name, test := range map[string]struct {
		refuse string
		spoil  func(map[string]any)
		want   string
	}{
		"refused":       {"access_denied", nil, "access_denied"},
		"another nonce": {"", func(claims map[string]any) { claims["nonce"] = "x" }, "of another sign-in"},
	} {
		t.Run(name, func(t *testing.T) {
			page := openedPage(t)
			idp.Refuse(test.refuse)
			idp.Spoil(test.spoil)
			ended := make(chan result, 1)
			go func() { ended <- call(t, "", "login", server) }()
			fetch(t, page().String())
			if r := <-ended; r.err == nil || !strings.Contains(r.err.Error(), test.want) {
				t.Errorf("got %v", r.err)
			}
		})
	}
	idp.Refuse("")
	idp.Spoil(nil)
	// Without a browser that works, and if it is asked for, a code is confirmed instead.
	t.Setenv("BROWSER", "/no/such/browser")
	for _, args := range [][]string{{"login", server}, {"login", server, "--device"}} {
		r := call(t, "", args...)
		if r.err != nil || !strings.Contains(r.stderr, "confirm the code") || strings.Contains(r.stderr, "/no/such/browser") == (len(args) == 3) {
			t.Errorf("%v: %v\n%s", args, r.err, r.stderr)
		}
	}
}
