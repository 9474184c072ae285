package delivery

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"centrifuge"
)

func TestCheckEndpoint(t *testing.T) {
	for endpoint, reason := range map[string]string{
		"http://example.com":                           "",
		"HTTPS://Example.COM:8443/a?b=c#d":             "",
		"http://example.com:/":                         "",
		"http://example.com.":                          "",
		"http://under_score.example.com/":              "",
		"http://bücher.example/":                       "",
		"http://xn--bcher-kva.example/":                "",
		"http://1.2.3.4:80":                            "",
		"http://[2001:db8::1]:80/":                     "",
		"http://localhost":                             "",
		"http://example.com/ü?ü":                       "",
		"":                                             "must begin with",
		"example.com":                                  "must begin with",
		"//example.com/":                               "must begin with",
		"ftp://example.com":                            "must begin with",
		"javascript:alert(1)":                          "must begin with",
		"http:example.com":                             "no host",
		"http://":                                      "no host",
		"http:///path":                                 "no host",
		"http://:80/":                                  "no host",
		"http://user@example.com":                      "credentials",
		"http://user:secret@example.com":               "credentials",
		"http://@example.com":                          "credentials",
		"http://example.com:0":                         "port",
		"http://example.com:65536":                     "port",
		"http://example.com:http":                      "not a URL",
		"http://exa mple.com":                          "space",
		"http://example.com/a b":                       "space",
		"http://example.com/?a b":                      "space",
		"http://example.com/\r\nX: y":                  "control",
		"http://example.com/\x00":                      "control",
		"http://example.com/%zz":                       "not a URL",
		"http://\xff.com/":                             "UTF-8",
		"http://a..b/":                                 "not a valid name",
		"http://./":                                    "not a valid name",
		"http://a%20b/":                                "not a",
		"http://a%2eb*/":                               "not a",
		"http://a,b/":                                  "not a valid name",
		"http://127.1/":                                "complete address",
		"http://2130706433/":                           "complete address",
		"http://0x7f000001/":                           "complete address",
		"http://0x7f.0.0.0x1/":                         "complete address",
		"http://017700000001/":                         "complete address",
		"http://127.0.0.1.":                            "complete address",
		"http://1.2.3.4.5/":                            "complete address",
		"http://[fe80::1%25eth0]/":                     "zone",
		"http://[::1/":                                 "not a URL",
		"http://[foo]/":                                "not a",
		"http://" + strings.Repeat("a", 64):            "not a valid name",
		"http://a/" + strings.Repeat("a", 1):           "",
		"http://a/" + strings.Repeat("a", MaxEndpoint): "longer than",
	} {
		err := CheckJob(&centrifuge.Job{Endpoint: endpoint})
		if reason == "" {
			if err != nil {
				t.Errorf("%.80q: %v", endpoint, err)
			}
			continue
		}
		var field *FieldError
		if !errors.As(err, &field) || field.Field != "endpoint" || !strings.Contains(field.Reason, reason) {
			t.Errorf("%.80q: got %v, want endpoint … %s", endpoint, err, reason)
		}
	}
}

// What looks like a name may turn into an address.
func TestFullWidthAddress(t *testing.T) {
	u, err := parseEndpoint("http://１２７.0.0.1:80/")
	if err != nil || u.Host != "127.0.0.1:80" {
		t.Errorf("got %v, %v; want the host 127.0.0.1:80", u, err)
	}
}

func TestCheckJob(t *testing.T) {
	header := func(name, value string) func(*centrifuge.Job) {
		return func(j *centrifuge.Job) { j.Headers = []centrifuge.Header{{Name: name, Value: value}} }
	}
	type test struct {
		change func(*centrifuge.Job)
		field  string
	}
	tests := map[string]test{
		"plain":               {func(*centrifuge.Job) {}, ""},
		"lower case method":   {func(j *centrifuge.Job) { j.Method = "purge" }, ""},
		"empty method":        {func(j *centrifuge.Job) { j.Method = "" }, ""},
		"method not a token":  {func(j *centrifuge.Job) { j.Method = "GET /" }, "method"},
		"method CONNECT":      {func(j *centrifuge.Job) { j.Method = "CONNECT" }, "method"},
		"long method":         {func(j *centrifuge.Job) { j.Method = strings.Repeat("A", 33) }, "method"},
		"timeout":             {func(j *centrifuge.Job) { j.Settings.Timeout = time.Minute }, ""},
		"negative timeout":    {func(j *centrifuge.Job) { j.Settings.Timeout = -1 }, "timeout"},
		"long timeout":        {func(j *centrifuge.Job) { j.Settings.Timeout = MaxTimeout + 1 }, "timeout"},
		"unknown encoding":    {func(j *centrifuge.Job) { j.Settings.Encoding = 3 }, "encoding"},
		"own encoding":        {header("Content-Encoding", "br"), ""},
		"authorization":       {header("authorization", "Bearer x"), ""},
		"empty value":         {header("X-Empty", ""), ""},
		"value in UTF-8":      {header("X-Name", "José"), ""},
		"name with a space":   {header("X Name", "a"), "headers"},
		"name with a colon":   {header("X:Name", "a"), "headers"},
		"empty name":          {header("", "a"), "headers"},
		"value with newline":  {header("X-Name", "a\r\nEvil: b"), "headers"},
		"value with nul":      {header("X-Name", "a\x00"), "headers"},
		"too long altogether": {header("X-Name", strings.Repeat("a", MaxHeaderBytes)), "headers"},
		"too many": {func(j *centrifuge.Job) {
			j.Headers = make([]centrifuge.Header, MaxHeaders+1)
			for i := range j.Headers {
				j.Headers[i].Name = "A"
			}
		}, "headers"},
		"two encodings": {func(j *centrifuge.Job) {
			header("content-encoding", "br")(j)
			j.Settings.Encoding = centrifuge.EncodingGzip
		}, "headers"},
	}
	for _, name := range []string{
		"Connection", "keep-alive", "Proxy-Authorization", "Proxy-Connection", "proxy-anything", "TE", "Trailer",
		"Transfer-Encoding", "Upgrade", "HTTP2-Settings", "content-length", "HOST", "Expect", "User-Agent",
		"Idempotency-Key", "Centrifuge-Job-Id", "centrifuge-attempt", "Centrifuge-Anything",
	} {
		tests["reserved "+name] = test{header(name, "x"), "headers"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			job := post("http://example.com")
			test.change(job)
			err := CheckJob(job)
			if test.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var field *FieldError
			if !errors.As(err, &field) || field.Field != test.field {
				t.Errorf("got %v, want an error of %s", err, test.field)
			}
		})
	}
}

func TestFieldErrorKeepsValuesSecret(t *testing.T) {
	job := post("http://example.com")
	job.Headers = []centrifuge.Header{{Name: "Authorization", Value: "s3cret\n"}}
	if err := CheckJob(job); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	job = post("http://user:s3cret@example.com")
	if err := CheckJob(job); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

// FuzzEndpoint: whatever is accepted makes one well-formed request to the very
// host that was checked.
func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{
		"http://example.com/a?b#c", "https://[::1]:8443/", "http://bücher.example/ü", "http://１２７.0.0.1/",
		"http://a/%0d%0a?x=\"<>", "http://0x7f.1/", "http://a:1/b:c@d", "http://a_b.c/?", "http://a/?\u0085",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		u, err := parseEndpoint(endpoint)
		if err != nil {
			var field *FieldError
			if !errors.As(err, &field) || field.Field != "endpoint" || field.Reason == "" {
				t.Fatalf("error of type %T: %v", err, err)
			}
			return
		}
		var wire bytes.Buffer
		if err := (&http.Request{Method: "POST", URL: u, Host: u.Host, Header: http.Header{}}).Write(&wire); err != nil {
			t.Fatalf("%q cannot be sent: %v", endpoint, err)
		}
		r := bufio.NewReader(&wire)
		got, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("%q makes a malformed request: %v", endpoint, err)
		}
		if got.Host != u.Host || len(got.Header) != 2 || r.Buffered() != 0 {
			t.Fatalf("%q makes the request %v %v", endpoint, got.Host, got.Header)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.Zone() != "" {
			t.Fatalf("%q has a zone", endpoint)
		}
	})
}

// What one job may pass with, the next must earn.
func TestCheckerJudgesEachJob(t *testing.T) {
	var c Checker
	for i, test := range []struct {
		job  centrifuge.Job
		good bool
	}{
		{centrifuge.Job{}, false},
		{centrifuge.Job{Endpoint: "http://a.example/"}, true},
		{centrifuge.Job{Endpoint: "http://a.example/", Method: "NO WAY"}, false},
		{centrifuge.Job{Endpoint: "http://a.example/"}, true},
		{centrifuge.Job{Endpoint: "ftp://a.example/"}, false},
		{centrifuge.Job{Endpoint: "ftp://a.example/"}, false},
		{centrifuge.Job{}, false},
		{centrifuge.Job{Endpoint: "http://b.example/"}, true},
	} {
		if err := c.Check(&test.job); (err == nil) != test.good {
			t.Errorf("job %d: %v, want it good: %v", i, err, test.good)
		}
	}
}
