package rpc

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"centrifuge/director"
)

// lines is a log that may be written and read at the same time.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The counts are made when the caller has its answer already, so a test reads
// them when the server has ended.
func TestCallsAreCountedAndLogged(t *testing.T) {
	backend := &fake{submit: func(_ context.Context, s director.Submission) (director.Receipt, error) {
		if s.TransactionID == "full" {
			return director.Receipt{}, &director.ExhaustedError{Reason: "full"}
		}
		return director.Receipt{}, nil
	}}
	log := &lines{}
	o := Options{
		Backends: backend.backends(), Tokens: openTokens(t, "billing:"+tokenA),
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	metrics := ended(t, o, func(address string) {
		submit := func(request, token string, headers ...string) {
			post(t, address, submitPath, request, append(headers, "Authorization", "Bearer "+token)...)
		}
		submit(`{"jobs": [{"source": "s", "payload": "c2VjcmV0LXBheWxvYWQ=", "endpoint": "http://e.example/?key=hidden"}]}`, tokenA)
		submit(`{"jobs": []}`, tokenA)
		submit(`{"transactionId": "full"}`, tokenA)
		submit(`{"jobs": [{"ttl": "0s"}]}`, tokenA)
		submit(`not JSON`, tokenA)
		submit(`{}`, tokenB)
		for i := range 20 {
			post(t, address, fmt.Sprintf("/centrifuge.v1.JobService/Made%d", i), `{}`, "Authorization", "Bearer "+tokenA)
		}
	})
	for code, n := range map[string]int{"ok": 2, "resource_exhausted": 1, "invalid_argument": 1, "refused": 1, "unauthenticated": 1} {
		want := fmt.Sprintf(`centrifuge_rpc_calls_total{code=%q,procedure=%q} %d`, code, submitPath, n)
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s:\n%s", want, metrics)
		}
	}
	if want := fmt.Sprintf(`centrifuge_rpc_call_duration_seconds_count{procedure=%q} 6`, submitPath); !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s:\n%s", want, metrics)
	}
	if want := `centrifuge_rpc_calls_total{code="refused",procedure="unknown"} 20`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s:\n%s", want, metrics)
	}
	logged := log.String()
	if n := strings.Count(logged, "caller=billing"); n != 25 {
		t.Errorf("%d lines name the caller, want 25:\n%s", n, logged)
	}
	for _, secret := range []string{tokenA, tokenB, "secret-payload", "c2VjcmV0", "hidden"} {
		if strings.Contains(logged, secret) {
			t.Errorf("the log gives %q away:\n%s", secret, logged)
		}
	}
}

// ended runs a server for as long as use takes, and returns the metrics as they
// are in the end.
func ended(t *testing.T, o Options, use func(address string)) string {
	t.Helper()
	o.Registry = prometheus.NewRegistry()
	address, stop := start(t, o)
	use(address)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	serveMetrics(o.Registry).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	return recorder.Body.String()
}

func TestCallsAreTraced(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	ended(t, Options{Tracer: provider}, func(address string) {
		post(t, address, submitPath, `{}`)
		get(t, "http://"+address+"/healthz")
	})
	if got := spans.GetSpans(); len(got) != 1 || !strings.Contains(got[0].Name, "JobService") {
		t.Errorf("got the spans %v, want one of the call", got)
	}
}
