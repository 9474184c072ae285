package rpc

import (
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"centrifuge/access"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// newHandler puts everything that is served under its path. From the outside
// in, a call is noted, admitted, limited, decoded, and only then answered.
func newHandler(o *Options) (http.Handler, error) {
	calls, err := newCalls(o.Logger, o.Registry)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of calls: %w", err)
	}
	gate := &gate{tokens: o.Tokens, identity: o.Identity, answers: connect.NewErrorWriter()}
	ofProcedure := ofProcedure()
	mux := http.NewServeMux()

	call := func(path string, service http.Handler) {
		service = calls.observe(gate.guard(ofProcedure, limit(o, service)))
		if o.Tracer != nil {
			service = otelhttp.NewHandler(service, path, otelhttp.WithTracerProvider(o.Tracer))
		}
		mux.Handle(path, service)
	}
	options := connect.WithHandlerOptions(
		codecs(),
		compressions(o.MaxMessageBytes),
		connect.WithInterceptors(connect.UnaryInterceptorFunc(calls.answer)),
	)
	b := Guard(o.Backends, o.Audit)
	if b.Jobs != nil {
		call(centrifugev1connect.NewJobServiceHandler(&jobService{backend: b.Jobs}, options))
	}
	if b.Queues != nil {
		call(centrifugev1connect.NewQueueServiceHandler(&queueService{b.Queues}, options))
	}
	if b.Archive != nil {
		call(centrifugev1connect.NewArchiveServiceHandler(&archiveService{b.Archive, o.Logger}, options))
	}
	if b.Ledger != nil {
		call(centrifugev1connect.NewLedgerServiceHandler(&ledgerService{b.Ledger}, options))
	}
	if b.Director != nil {
		call(centrifugev1connect.NewDirectorServiceHandler(&directorService{b.Name, b.Director, b.Own}, options))
	}
	if b.Fleet != nil {
		call(centrifugev1connect.NewFleetServiceHandler(&fleetService{b.Fleet}, options))
	}
	if b.Record != nil || b.Search != nil || b.Alerts != nil {
		visibility := &visibilityService{record: b.Record, search: b.Search, alerts: b.Alerts, now: time.Now}
		call(centrifugev1connect.NewVisibilityServiceHandler(visibility, options))
	}
	call(centrifugev1connect.NewAuditServiceHandler(&auditService{o.Audit, o.Logger}, options))
	call(centrifugev1connect.NewAccessServiceHandler(&accessService{o.Login, o.Links}, options))

	metrics := serveMetrics(o.Registry)
	if !o.OpenMetrics {
		metrics = gate.guard(always(access.OfMetrics()), metrics)
	}
	mux.Handle("GET /metrics", metrics)
	if o.Profiles {
		mux.Handle("/debug/pprof/", gate.guard(always(access.OfProfiles()), serveProfiles()))
	}
	mux.Handle("GET /readyz", serveReady(o.Ready))
	mux.HandleFunc("GET /healthz", serveHealth)
	if o.Pages != nil {
		mux.Handle("/", limit(o, gate.guard(always(access.Need{Right: access.Anyone}), o.Pages)))
	} else {
		mux.Handle("GET /{$}", serveIndex(o.Version))
	}
	return mux, nil
}
