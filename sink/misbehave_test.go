package sink_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/sink"
)

const maxOutage = 24 * time.Hour

// do sends a GET and fails the test unless a response begins.
func do(t *testing.T, url string, client *http.Client) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestBrokenResponses(t *testing.T) {
	for reply, broken := range map[sink.Reply]func(error) bool{
		sink.Close:     func(err error) bool { return errors.Is(err, io.EOF) },
		sink.Reset:     func(err error) bool { return errors.Is(err, syscall.ECONNRESET) },
		sink.Malformed: func(err error) bool { return strings.Contains(err.Error(), `malformed HTTP status code "1"`) },
		sink.EndlessHeader: func(err error) bool {
			return strings.Contains(err.Error(), "server response headers exceeded")
		},
	} {
		t.Run(reply.String(), func(t *testing.T) {
			s := newSink(t, sink.Options{Routes: mustParse(t, "/x=status:"+reply.String())})
			url, client := listen(t, s)
			if status, err := post(t, client, url+"/x", "id", "body"); err == nil || !broken(err) {
				t.Errorf("POST = %d, %v", status, err)
			}
			if st := s.Stats(); st.Routes["/x"].Replies[reply.String()] != 1 || st.Delivered != 0 || st.IDs != 1 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestUnendingBodies(t *testing.T) {
	s := newSink(t, sink.Options{Routes: mustParse(t, "/drip=status:drip", "/endless=status:endless")})
	url, client := listen(t, s)

	resp := do(t, url+"/endless", client)
	if n, err := io.CopyN(io.Discard, resp.Body, 4<<20); err != nil || resp.StatusCode != 200 {
		t.Errorf("endless: %d, %d bytes, %v", resp.StatusCode, n, err)
	}
	resp = do(t, url+"/drip", client)
	if _, err := io.ReadFull(resp.Body, make([]byte, 2)); err != nil || resp.ContentLength < 1000 {
		t.Errorf("drip: length %d, %v", resp.ContentLength, err)
	}
}

func TestStatusesBeyondHTTP(t *testing.T) {
	codes := []int{0, 1, 99, 100, 101, 199, 204, 304, 418, 599, 600, 999}
	var specs []string
	for _, code := range codes {
		specs = append(specs, fmt.Sprintf("/%d=status:%d", code, code))
	}
	url, _ := listen(t, newSink(t, sink.Options{Routes: mustParse(t, specs...)}))
	for _, code := range codes {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: sink\r\n\r\n", code)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if want := fmt.Sprintf("HTTP/1.1 %03d ", code); err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("status line %q, %v; want %q", line, err, want)
		}
	}
}

// serve calls the handler directly and reports whether it answered, as opposed
// to aborting.
func serve(ctx context.Context, s *sink.Sink, w http.ResponseWriter, header http.Header) (answered bool) {
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(r)
			}
		}
	}()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader("body"))
	maps.Copy(req.Header, header)
	s.ServeHTTP(w, req)
	return true
}

func defaults(t *testing.T, spec string) sink.Options {
	t.Helper()
	b, err := sink.ParseBehaviour(spec)
	if err != nil {
		t.Fatal(err)
	}
	return sink.Options{Default: b}
}

func TestHangEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t, defaults(t, "status:hang"))
		ctx, leave := context.WithCancel(t.Context())
		answered := make(chan bool)
		go func() { answered <- serve(ctx, s, httptest.NewRecorder(), nil) }()
		time.Sleep(time.Hour)
		if r := s.Stats().Routes[""]; r.InFlight != 1 || r.Replies["hang"] != 1 {
			t.Errorf("while it hangs: %+v", r)
		}
		leave()
		if <-answered {
			t.Error("the request was answered")
		}
		if r := s.Stats().Routes[""]; r.InFlight != 0 || r.PeakInFlight != 1 {
			t.Errorf("after the client left: %+v", r)
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t, defaults(t, "latency:5ms-20ms"))
		distinct := make(map[time.Duration]bool)
		for range 50 {
			start := time.Now()
			serve(t.Context(), s, httptest.NewRecorder(), nil)
			took := time.Since(start)
			if took < 5*time.Millisecond || took >= 20*time.Millisecond {
				t.Errorf("took %v", took)
			}
			distinct[took] = true
		}
		if len(distinct) < 40 {
			t.Errorf("only %d distinct latencies of 50", len(distinct))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if serve(ctx, s, httptest.NewRecorder(), nil) {
			t.Error("answered a client that had left")
		}
		if r := s.Stats().Routes[""]; r.Replies["client-left"] != 1 || r.Replies["200"] != 50 {
			t.Errorf("counts %+v", r)
		}
	})
}

func TestOutageWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t, defaults(t, "latency:1ms;outage:10s+5s:503;outage:12s+10s:500;outage:1h+1s:404"))
		at := func(when time.Duration, from time.Time, want int) {
			t.Helper()
			time.Sleep(time.Until(from.Add(when)))
			w := httptest.NewRecorder()
			serve(t.Context(), s, w, nil)
			if w.Code != want {
				t.Errorf("at %v: %d, want %d", when, w.Code, want)
			}
		}
		from := time.Now()
		at(0, from, 200)
		at(10*time.Second-1, from, 200)
		at(10*time.Second, from, 503)
		at(15*time.Second-1, from, 503)
		at(15*time.Second, from, 500)
		at(22*time.Second, from, 200)
		at(time.Hour, from, 404)
		s.Reset()
		from = time.Now()
		at(0, from, 200)
		at(10*time.Second, from, 503)
	})
}

func TestRateLimitSaysWhenToComeBack(t *testing.T) {
	for form, parse := range map[string]func(string) (time.Duration, error){
		"seconds": func(v string) (time.Duration, error) {
			n, err := strconv.Atoi(v)
			return time.Duration(n) * time.Second, err
		},
		"date": func(v string) (time.Duration, error) {
			at, err := http.ParseTime(v)
			return time.Until(at), err
		},
	} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink(t, defaults(t, "rate:0.25;burst:3;retry-after:"+form))
				codes := func() (limited *httptest.ResponseRecorder, accepted int) {
					for {
						w := httptest.NewRecorder()
						serve(t.Context(), s, w, nil)
						if w.Code == http.StatusTooManyRequests {
							return w, accepted
						}
						accepted++
					}
				}
				_, accepted := codes()
				if accepted != 3 {
					t.Errorf("%d requests at once, want 3", accepted)
				}
				time.Sleep(500 * time.Millisecond)
				limited, _ := codes()
				// 3.5 s are left; both forms count whole seconds, upwards.
				wait, err := parse(limited.Header().Get("Retry-After"))
				if err != nil || wait < 3500*time.Millisecond || wait > 4*time.Second {
					t.Errorf("come back in %v, %v", wait, err)
				}
				time.Sleep(wait)
				if _, accepted = codes(); accepted != 1 {
					t.Errorf("%d requests after the wait, want 1", accepted)
				}
				time.Sleep(time.Hour)
				if _, accepted = codes(); accepted != 3 {
					t.Errorf("%d requests after an hour, want 3", accepted)
				}
			})
		})
	}
}

func TestRetryAfterOfTheMix(t *testing.T) {
	for spec, want := range map[string]string{
		"status:503":                           "",
		"status:503;retry-after:seconds:90s":   "90",
		"status:429;retry-after:seconds:1.2s":  "2",
		"status:429;retry-after:none:90s":      "",
		"status:500;retry-after:seconds:90s":   "",
		"outage:0s+1h:503;retry-after:date:1s": "Sat, 01 Jan 2000 00:00:01 GMT",
		"rate:1;burst:1;retry-after:none":      "",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSink(t, defaults(t, spec))
			w := httptest.NewRecorder()
			serve(t.Context(), s, w, nil)
			if got := w.Header().Get("Retry-After"); got != want {
				t.Errorf("%s: Retry-After %q, want %q", spec, got, want)
			}
		})
	}
}

func TestArrivalOfFirstAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t, sink.Options{MeasureArrival: true})
		header := func(id string, sent string) http.Header {
			return http.Header{sink.HeaderJobID: {id}, sink.HeaderSent: {sent}}
		}
		sent := strconv.FormatInt(time.Now().UnixNano(), 10)
		for i := 1; i <= 100; i++ {
			time.Sleep(time.Millisecond)
			serve(t.Context(), s, httptest.NewRecorder(), header(strconv.Itoa(i), sent))
		}
		time.Sleep(time.Hour)
		serve(t.Context(), s, httptest.NewRecorder(), header("1", sent))
		serve(t.Context(), s, httptest.NewRecorder(), header("odd", "soon"))
		serve(t.Context(), s, httptest.NewRecorder(), nil)

		a := s.Stats().Arrival
		if a == nil || a.Count != 100 {
			t.Fatalf("arrival %+v, want 100", a)
		}
		for name, d := range map[string][2]time.Duration{
			"p50": {a.P50, 50 * time.Millisecond}, "p90": {a.P90, 90 * time.Millisecond},
			"p99": {a.P99, 99 * time.Millisecond}, "max": {a.Max, 100 * time.Millisecond},
		} {
			if off := (d[0] - d[1]).Abs(); off > d[1]/1000 {
				t.Errorf("%s = %v, want %v", name, d[0], d[1])
			}
		}
	})
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func TestFastPathDoesNotAllocate(t *testing.T) {
	s := newSink(t, sink.Options{MeasureArrival: true, Routes: mustParse(t, "/a=status:200", "/b=rate:1000000")})
	body := strings.NewReader("")
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/a/b/c", nil)
	req.Body = io.NopCloser(body)
	req.Header.Set(sink.HeaderJobID, "2HWzlIDDxCcoAvwBnMcsWYbLyAn")
	req.Header.Set(sink.HeaderSent, "1700000000000000000")
	w := discard{http.Header{}}
	if n := testing.AllocsPerRun(1000, func() {
		body.Reset("some body")
		s.ServeHTTP(w, req)
	}); n > 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkFastPath(b *testing.B) {
	s, err := sink.New(sink.Options{})
	if err != nil {
		b.Fatal(err)
	}
	body := strings.NewReader("")
	text := strings.Repeat("x", 1024)
	req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/a", nil)
	req.Body = io.NopCloser(body)
	req.Header.Set(sink.HeaderJobID, "2HWzlIDDxCcoAvwBnMcsWYbLyAn")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(text)
		s.ServeHTTP(w, req)
	}
}
