package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// refusing is a Director that answers each Submit with the next of its errors, nil and those beyond
// the last being successes.
type refusing struct {
	centrifugev1connect.UnimplementedJobServiceHandler

	errs  []error
	calls []*pb.SubmitRequest
	times []time.Time
	auth  []string
}

func (d *refusing) Submit(_ context.Context, req *connect.Request[pb.SubmitRequest]) (*connect.Response[pb.SubmitResponse], error) {
	n := len(d.calls)
	d.calls = append(d.calls, req.Msg)
	d.times = append(d.times, time.Now())
	d.auth = append(d.auth, req.Header().Get("Authorization"))
	if n < len(d.errs) && d.errs[n] != nil {
		return nil, d.errs[n]
	}
	return connect.NewResponse(&pb.SubmitResponse{TransactionId: req.Msg.GetTransactionId(), JobIds: []string{"id"}}), nil
}

// inMemory carries requests to a handler without a network.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	m.ServeHTTP(rec, req)
	return rec.Result(), req.Context().Err()
}

func newClient(t *testing.T, d *refusing, o client.Options) *client.Client {
	t.Helper()
	_, handler := centrifugev1connect.NewJobServiceHandler(d)
	o.Transport = inMemory{handler}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func full(retryAfter string) error {
	err := connect.NewError(connect.CodeResourceExhausted, errors.New("disk nearly full"))
	err.Meta().Set("Retry-After", retryAfter)
	return err
}

func TestSubmitRepeatsUnderOneTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &refusing{errs: []error{
			connect.NewError(connect.CodeUnavailable, errors.New("recovering")),
			errors.New("a proxy broke"), // code unknown
			full("7"),
		}}
		var told int
		c := newClient(t, d, client.Options{Token: "s3cret", OnRetry: func(error, time.Duration) { told++ }})
		resp, err := c.Submit(t.Context(), &pb.SubmitRequest{Jobs: []*pb.JobSpec{{Source: "a"}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(d.calls) != 4 || told != 3 {
			t.Fatalf("%d calls, told of %d, want 4 and 3", len(d.calls), told)
		}
		for i, call := range d.calls {
			if call.GetTransactionId() == "" || call.GetTransactionId() != resp.GetTransactionId() {
				t.Errorf("call %d has transaction %q, the answer %q", i, call.GetTransactionId(), resp.GetTransactionId())
			}
			if len(call.GetJobs()) != 1 || d.auth[i] != "Bearer s3cret" {
				t.Errorf("call %d: %d jobs, authorization %q", i, len(call.GetJobs()), d.auth[i])
			}
		}
		if wait := d.times[3].Sub(d.times[2]); wait < 7*time.Second {
			t.Errorf("waited %s where Retry-After said 7", wait)
		}
	})
}

func TestSubmitDoesNotRepeatRefusals(t *testing.T) {
	for _, code := range []connect.Code{
		connect.CodeInvalidArgument, connect.CodeAlreadyExists, connect.CodeUnauthenticated,
		connect.CodeInternal, connect.CodeUnimplemented,
	} {
		d := &refusing{errs: []error{connect.NewError(code, errors.New("jobs[0].endpoint: no"))}}
		_, err := newClient(t, d, client.Options{}).Submit(t.Context(), &pb.SubmitRequest{})
		if connect.CodeOf(err) != code || errors.Is(err, client.ErrGaveUp) || len(d.calls) != 1 {
			t.Errorf("%v: got %v after %d calls", code, err, len(d.calls))
		}
	}
}

func TestSubmitGivesUp(t *testing.T) {
	always := func() *refusing {
		d := &refusing{}
		for range 1000 {
			d.errs = append(d.errs, connect.NewError(connect.CodeUnavailable, errors.New("shutting down")))
		}
		return d
	}
	t.Run("when its time is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, began := always(), time.Now()
			_, err := newClient(t, d, client.Options{RetryFor: time.Hour}).Submit(t.Context(), &pb.SubmitRequest{TransactionId: "tx-9"})
			if !errors.Is(err, client.ErrGaveUp) || !strings.Contains(err.Error(), "tx-9") || !strings.Contains(err.Error(), "shutting down") {
				t.Errorf("error %v does not give up naming transaction and cause", err)
			}
			if took := time.Since(began); took > time.Hour || took < 50*time.Minute {
				t.Errorf("gave up after %s", took)
			}
			// 10 s at most and 5 s on average between calls.
			if n := len(d.calls); n < 400 || n > 1000 {
				t.Errorf("%d calls in an hour", n)
			}
		})
	})
	t.Run("when its context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := always()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := newClient(t, d, client.Options{RetryFor: time.Hour}).Submit(ctx, &pb.SubmitRequest{})
			if !errors.Is(err, client.ErrGaveUp) || ctx.Err() == nil {
				t.Errorf("got %v with the context %v", err, ctx.Err())
			}
		})
	})
	t.Run("at once when told to", func(t *testing.T) {
		d := always()
		_, err := newClient(t, d, client.Options{RetryFor: -1}).Submit(t.Context(), &pb.SubmitRequest{})
		if !errors.Is(err, client.ErrGaveUp) || len(d.calls) != 1 {
			t.Errorf("got %v after %d calls", err, len(d.calls))
		}
	})
}

func TestCertificateIsNotRetried(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	c, err := client.New(client.Options{URL: server.URL, OnRetry: func(err error, _ time.Duration) { t.Errorf("repeated after %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Submit(t.Context(), &pb.SubmitRequest{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want a certificate error", err)
	}
}

func TestURLs(t *testing.T) {
	for _, url := range []string{"127.0.0.1:7800", "ftp://host", "http://", "http://[::1", "/path"} {
		if _, err := client.New(client.Options{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
	for _, url := range []string{"", "http://127.0.0.1:7800", "https://centrifuge.example/prefix/"} {
		if _, err := client.New(client.Options{URL: url}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}
