package delivery

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"centrifuge"
)

func TestEveryStatus(t *testing.T) {
	srv := serveConn(t, answerByPath)
	c := local(t)
	for code := range 1000 {
		if code >= 102 && code <= 199 || code == 100 {
			continue // informational: the response is still to come
		}
		r := c.Deliver(t.Context(), post(fmt.Sprintf("%s/%03d", srv, code)), 1)
		w := status(centrifuge.ClassifyStatus(code), code)
		if code == 0 {
			w.code = centrifuge.ErrorBadResponse
		}
		w.check(t, r)
	}
}

// answerByPath answers each request with the status that its path names.
func answerByPath(conn net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		_, rest, ok := strings.Cut(string(buf[:n]), "/")
		if !ok {
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s X\r\nContent-Length: 0\r\n\r\n", rest[:3])
	}
}

// Short requests are made by http1, long ones by net/http.
func TestRequestAsGiven(t *testing.T) {
	for _, size := range []int{0, 5, 100 << 10} {
		for _, method := range []string{"POST", "PATCH", "DELETE"} {
			t.Run(fmt.Sprintf("%s %d", method, size), func(t *testing.T) { testRequestAsGiven(t, method, strings.Repeat("x", size)) })
		}
	}
}

func testRequestAsGiven(t *testing.T, method, payload string) {
	type seen struct {
		method, uri, host, body string
		length                  int64
		header                  http.Header
	}
	var got seen
	endpoint := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.RequestURI, r.Host, string(body), r.ContentLength, r.Header}
	})
	c := newClient(t, Options{AllowNetworks: loopback(), UserAgent: "Centrifuge/1.2.3"})
	job := post(endpoint + "/a%2Fb?q=1&q=2#part")
	job.Method, job.Payload = method, []byte(payload)
	job.Headers = []centrifuge.Header{
		{Name: "content-type", Value: "application/json"},
		{Name: "X-Many", Value: "one"},
		{Name: "x-many", Value: "two"},
	}
	status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), job, 7))

	if got.method != method || got.uri != "/a%2Fb?q=1&q=2" || got.body != payload || got.length != int64(len(payload)) {
		t.Errorf("got %s %s with %d bytes, said to be %d", got.method, got.uri, len(got.body), got.length)
	}
	if "http://"+got.host != endpoint {
		t.Errorf("host %q, want that of %q", got.host, endpoint)
	}
	want := http.Header{
		"Content-Type":       {"application/json"},
		"X-Many":             {"one", "two"},
		"User-Agent":         {"Centrifuge/1.2.3"},
		"Centrifuge-Job-Id":  {job.ID.String()},
		"Idempotency-Key":    {job.ID.String()},
		"Centrifuge-Attempt": {"7"},
	}
	if payload != "" || method != "DELETE" {
		want["Content-Length"] = []string{strconv.Itoa(len(payload))}
	}
	if fmt.Sprint(got.header) != fmt.Sprint(want) {
		t.Errorf("headers\n got %v\nwant %v", got.header, want)
	}
}

func TestMethodDefaultsToPost(t *testing.T) {
	var got atomic.Value
	endpoint := serve(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Method) })
	job := post(endpoint)
	job.Method = ""
	local(t).Deliver(t.Context(), job, 1)
	if got.Load() != http.MethodPost {
		t.Errorf("method %v, want POST", got.Load())
	}
}

func TestEncodings(t *testing.T) {
	payload := strings.Repeat("a payload that compresses well. ", 1000)
	var got struct {
		encoding, body string
		length         int64
	}
	endpoint := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got.encoding, got.length, got.body = r.Header.Get("Content-Encoding"), r.ContentLength, ""
		var body io.Reader = r.Body
		switch got.encoding {
		case "gzip":
			body, _ = gzip.NewReader(r.Body)
		case "zstd":
			z, _ := zstd.NewReader(r.Body)
			defer z.Close()
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		got.body = string(b)
	})
	c := local(t)
	for _, encoding := range []centrifuge.Encoding{
		centrifuge.EncodingIdentity, centrifuge.EncodingGzip, centrifuge.EncodingZstd,
	} {
		for _, body := range []string{payload, "x", ""} {
			t.Run(fmt.Sprintf("%q/%d", encoding, len(body)), func(t *testing.T) {
				job := post(endpoint)
				job.Payload = []byte(body)
				job.Settings.Encoding = encoding
				status(centrifuge.OutcomeSucceeded, 200).check(t, c.Deliver(t.Context(), job, 1))
				if got.body != body {
					t.Errorf("got %d bytes of body, want %d", len(got.body), len(body))
				}
				wantEncoding := encoding.String()
				if body == "" {
					wantEncoding = ""
				}
				if got.encoding != wantEncoding {
					t.Errorf("Content-Encoding %q, want %q", got.encoding, wantEncoding)
				}
				if encoding != centrifuge.EncodingIdentity && len(body) > 1000 && got.length > int64(len(body)/2) {
					t.Errorf("sent %d bytes, want the body compressed", got.length)
				}
			})
		}
	}
}

func TestRefusedBeforeSending(t *testing.T) {
	c := local(t)
	for name, spoil := range map[string]func(*centrifuge.Job){
		"endpoint": func(j *centrifuge.Job) { j.Endpoint = "gopher://example.com" },
		"method":   func(j *centrifuge.Job) { j.Method = "NO WAY" },
		"header":   func(j *centrifuge.Job) { j.Headers = []centrifuge.Header{{Name: "Te", Value: "gzip"}} },
		"timeout":  func(j *centrifuge.Job) { j.Settings.Timeout = -1 },
		"encoding": func(j *centrifuge.Job) { j.Settings.Encoding = 99 },
	} {
		t.Run(name, func(t *testing.T) {
			job := post("http://127.0.0.1:1/")
			spoil(job)
			discard(centrifuge.ErrorBadRequest, false).check(t, c.Deliver(t.Context(), job, 1))
		})
	}
}

func TestPanicIsAResult(t *testing.T) {
	retry(centrifuge.ErrorInternal, false).check(t, local(t).Deliver(t.Context(), nil, 1))
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endpoint := serveWire(t, func(conn net.Conn) {
		cancel()
		untilClosed(conn)
	})
	c := local(t)
	retry(centrifuge.ErrorInterrupted, true).check(t, c.Deliver(ctx, post(endpoint), 1))
	retry(centrifuge.ErrorInterrupted, false).check(t, c.Deliver(ctx, post(endpoint), 1))
}

func TestConnectionIsKept(t *testing.T) {
	for name, size := range map[string]int{"no body": 0, "kept body": 1 << 10, "drained body": 32 << 10} {
		for _, code := range []int{200, 500} {
			t.Run(name+" "+strconv.Itoa(code), func(t *testing.T) {
				var peers sync.Map
				endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
					peers.Store(r.RemoteAddr, true)
					w.WriteHeader(code)
					_, _ = io.WriteString(w, strings.Repeat("x", size))
				})
				c := local(t)
				for i := range uint32(20) {
					c.Deliver(t.Context(), post(endpoint), i+1)
				}
				n := 0
				peers.Range(func(any, any) bool { n++; return true })
				if n != 1 {
					t.Errorf("%d connections for 20 attempts one after the other, want 1", n)
				}
			})
		}
	}
}

// An endpoint may close an idle connection at any moment; the next attempt must
// not fail for that.
func TestDeadIdleConnectionIsReplaced(t *testing.T) {
	var requests atomic.Int64
	endpoint := serveConn(t, func(conn net.Conn) {
		if readRequest(conn) != nil {
			return
		}
		requests.Add(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n") // and closes without a word
	})
	c := local(t)
	for range 50 {
		status(centrifuge.OutcomeSucceeded, 204).check(t, c.Deliver(t.Context(), post(endpoint), 1))
	}
	if n := requests.Load(); n != 50 {
		t.Errorf("the endpoint got %d requests, want 50", n)
	}
}

func TestConcurrentDeliveries(t *testing.T) {
	var seen sync.Map
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.Store(r.Header.Get("Centrifuge-Attempt"), string(body))
		w.WriteHeader(500)
		_, _ = w.Write(body)
	})
	c := local(t)
	var wg sync.WaitGroup
	for worker := range uint32(8) {
		wg.Go(func() {
			for i := range uint32(50) {
				n := worker*50 + i
				job := post(endpoint + "/" + strconv.Itoa(int(n)))
				job.Payload = []byte(strconv.Itoa(int(n)))
				job.Settings.Encoding = centrifuge.EncodingIdentity
				if r := c.Deliver(t.Context(), job, n); r.StatusCode != 500 || r.Error != string(job.Payload) {
					t.Errorf("job %d: got %+v", n, r)
				}
			}
		})
	}
	wg.Wait()
	for n := range 400 {
		if got, _ := seen.Load(strconv.Itoa(n)); got != strconv.Itoa(n) {
			t.Fatalf("attempt %d arrived with body %v", n, got)
		}
	}
}

func TestRetryAfterIsReported(t *testing.T) {
	endpoint := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	r := local(t).Deliver(t.Context(), post(endpoint), 1)
	status(centrifuge.OutcomeRetry, 429).check(t, r)
	if r.RetryAfter != 2*time.Minute {
		t.Errorf("RetryAfter %v, want 2m", r.RetryAfter)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var asked atomic.Int64
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	status(centrifuge.OutcomeDiscarded, 307).check(t, local(t).Deliver(t.Context(), post(endpoint), 1))
	if asked.Load() != 1 {
		t.Errorf("%d requests, want 1", asked.Load())
	}
}
