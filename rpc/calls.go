package rpc

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// call is what is noted of a call on its way in, for the log and the metrics.
// The call's goroutine owns it.
type call struct {
	caller string // the name of its principal
	code   string // of its answer
}

type callKey struct{}

// noted is the call's note, or one that nobody reads.
func noted(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// calls counts calls and logs them, at debug level. It is safe for concurrent use.
type calls struct {
	logger  *slog.Logger
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newCalls(logger *slog.Logger, registry prometheus.Registerer) (*calls, error) {
	c := &calls{
		logger: logger,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "centrifuge_rpc_calls_total",
			Help: "Calls answered, by procedure and by the code of the answer; refused: never reached the procedure.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "centrifuge_rpc_call_duration_seconds",
			Help:    "From a call's headers to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"procedure"}),
	}
	for _, metric := range []prometheus.Collector{c.total, c.seconds} {
		if err := registry.Register(metric); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// observe notes each request to next. A request that Connect refuses before the
// procedure sees it (not a message, too large, an unknown encoding) has the code
// refused. What is no procedure is counted as unknown, so that callers cannot make
// up metrics.
func (c *calls) observe(next http.Handler) http.Handler {
	known := procedures()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		procedure := "unknown"
		if known[r.URL.Path] {
			procedure = r.URL.Path
		}
		note := &call{code: "refused"}
		ctx := context.WithValue(r.Context(), callKey{}, note)
		defer func() {
			took := time.Since(begin)
			c.total.WithLabelValues(procedure, note.code).Inc()
			c.seconds.WithLabelValues(procedure).Observe(took.Seconds())
			c.logger.DebugContext(ctx, "call", "procedure", procedure, "code", note.code,
				"duration", took, "caller", note.caller, "remote", r.RemoteAddr)
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// answer turns the errors of the procedures into answers, notes their codes, and
// logs the causes that callers are not told.
func (c *calls) answer(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		response, err := next(ctx, req)
		if err == nil {
			noted(ctx).code = "ok"
			return response, nil
		}
		answer, known := answerTo(err)
		noted(ctx).code = answer.Code().String()
		if !known {
			c.logger.ErrorContext(ctx, "call failed", "procedure", req.Spec().Procedure, "err", err)
		}
		return nil, answer
	}
}
