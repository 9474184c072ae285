package rpc

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

func TestWhoMayCallWhat(t *testing.T) {
	tokens := openTokens(t, "ops:"+tokenA)
	closed := serve(t, Options{Tokens: tokens, Profiles: true})
	metrics := serve(t, Options{Tokens: tokens, OpenMetrics: true})
	open := serve(t, Options{Profiles: true})
	bare := serve(t, Options{})

	const none, wrong, right = "", "Bearer " + tokenB, "Bearer " + tokenA
	for _, test := range []struct {
		name, address, method, path, authorization string
		status                                     int
	}{
		{"submit", closed, "POST", submitPath, none, 401},
		{"submit", closed, "POST", submitPath, wrong, 401},
		{"submit", closed, "POST", submitPath, "Basic b3BzOmE=", 401},
		{"submit", closed, "POST", submitPath, right, 200},
		{"ledger", closed, "POST", "/centrifuge.v1.LedgerService/Get", none, 401},
		{"ledger", closed, "POST", "/centrifuge.v1.LedgerService/Get", right, 200},
		{"unknown method", closed, "POST", "/centrifuge.v1.JobService/Steal", none, 401},
		{"unknown method", closed, "POST", "/centrifuge.v1.JobService/Steal", right, 404},
		{"metrics", closed, "GET", "/metrics", none, 401},
		{"metrics", closed, "GET", "/metrics", right, 200},
		{"profiles", closed, "GET", "/debug/pprof/cmdline", none, 401},
		{"profiles", closed, "GET", "/debug/pprof/cmdline", right, 200},
		{"health", closed, "GET", "/healthz", none, 200},
		{"health", closed, "GET", "/healthz", wrong, 200},
		{"readiness", closed, "GET", "/readyz", none, 200},
		{"index", closed, "GET", "/", none, 200},

		{"open metrics", metrics, "GET", "/metrics", none, 200},
		{"submit beside open metrics", metrics, "POST", submitPath, none, 401},
		{"profiles that are off", metrics, "GET", "/debug/pprof/cmdline", right, 404},

		{"submit without tokens", open, "POST", submitPath, none, 200},
		{"submit without tokens", open, "POST", submitPath, wrong, 200},
		{"metrics without tokens", open, "GET", "/metrics", none, 200},
		{"profiles without tokens", open, "GET", "/debug/pprof/cmdline", none, 200},
		{"profiles that are off", bare, "GET", "/debug/pprof/", none, 404},
	} {
		req := newRequest(t, test.method, "http://"+test.address+test.path, strings.NewReader("{}"), "Content-Type", "application/json")
		if test.authorization != none {
			req.Header.Set("Authorization", test.authorization)
		}
		status, header, content := do(t, client(t), req)
		if status != test.status {
			t.Errorf("%s with %q: got status %d, want %d: %s", test.name, test.authorization, status, test.status, content)
		}
		if challenge := header.Get("WWW-Authenticate"); (status == 401) != strings.HasPrefix(challenge, "Bearer") {
			t.Errorf("%s with %q: status %d comes with the challenge %q", test.name, test.authorization, status, challenge)
		}
	}
}

func TestTokensInEveryProtocol(t *testing.T) {
	address := serve(t, Options{Tokens: openTokens(t, tokenA)})
	c := h2c(t)
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
	} {
		jobs := centrifugev1connect.NewJobServiceClient(c, "http://"+address, options...)
		for token, code := range map[string]connect.Code{"": connect.CodeUnauthenticated, tokenB: connect.CodeUnauthenticated, tokenA: 0} {
			req := connect.NewRequest(&pb.SubmitRequest{})
			if token != "" {
				req.Header().Set("Authorization", "Bearer "+token)
			}
			_, err := jobs.Submit(t.Context(), req)
			if code == 0 && err != nil || code != 0 && connect.CodeOf(err) != code {
				t.Errorf("%s with %q: got %v", name, token, err)
			}
		}
	}
}

// A body that nobody may send is not waited for.
func TestStrangersAreAnsweredBeforeTheirBodies(t *testing.T) {
	address := serve(t, Options{Tokens: openTokens(t, tokenA), ReadTimeout: time.Hour})
	never, stop := io.Pipe()
	defer stop.Close()
	resp, err := client(t).Do(newRequest(t, "POST", "http://"+address+submitPath, never, "Content-Type", "application/json"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got status %d", resp.StatusCode)
	}
}

func TestNamesOfThisMachine(t *testing.T) {
	open, closed := serve(t, Options{}), serve(t, Options{Tokens: openTokens(t, tokenA)})
	for host, ok := range map[string]bool{
		"": true, "localhost": true, "LOCALHOST:7800": true, "127.0.0.1": true, "[::1]:7800": true, "10.0.0.1:7800": true,
		"evil.example": false, "evil.example:7800": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
	} {
		for _, path := range []string{submitPath, "/metrics"} {
			req := newRequest(t, "POST", "http://"+open+path, strings.NewReader("{}"), "Content-Type", "application/json")
			if path == "/metrics" {
				req.Method = "GET"
			}
			req.Host = host
			status, _, content := do(t, client(t), req)
			if want := map[bool]int{true: 200, false: 403}[ok]; status != want {
				t.Errorf("%s of %q without tokens: got status %d: %s", path, host, status, content)
			}
		}
		req := newRequest(t, "POST", "http://"+closed+submitPath, strings.NewReader("{}"),
			"Content-Type", "application/json", "Authorization", "Bearer "+tokenA)
		req.Host = host
		if status, _, content := do(t, client(t), req); status != 200 {
			t.Errorf("%q with a token: got status %d: %s", host, status, content)
		}
	}
}

func TestCheckExposure(t *testing.T) {
	for address, loopback := range map[string]bool{
		"127.0.0.1:7800": true, "127.1.2.3:0": true, "[::1]:7800": true, "localhost:7800": true, "[::ffff:127.0.0.1]:1": true,
		":7800": false, "0.0.0.0:7800": false, "[::]:7800": false, "10.0.0.1:7800": false,
		"192.168.1.2:7800": false, "example.com:7800": false, "localhost.example.com:1": false,
	} {
		if err := CheckExposure(address, false); (err == nil) != loopback {
			t.Errorf("%s without tokens: %v", address, err)
		} else if err != nil && !strings.Contains(err.Error(), "--token-file") {
			t.Errorf("%s: the error names no remedy: %v", address, err)
		}
		if err := CheckExposure(address, true); err != nil {
			t.Errorf("%s with tokens: %v", address, err)
		}
	}
	for _, address := range []string{"", "7800", "127.0.0.1", "::1"} {
		if err := CheckExposure(address, true); err == nil {
			t.Errorf("%q is no address, and was accepted", address)
		}
	}
}
