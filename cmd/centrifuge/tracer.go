package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"centrifuge"
	"centrifuge/delivery"
	"centrifuge/director"
)

// tracer sends traces away. The nil tracer makes none.
type tracer struct{ sdk *sdktrace.TracerProvider }

// newTracer sends traces to the OTLP/HTTP endpoint, or makes none if it is empty.
func newTracer(ctx context.Context, endpoint string) (*tracer, error) {
	if endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, usagef("--otlp-endpoint %q: want a URL such as http://127.0.0.1:4318", endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces" // where collectors take them
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("--otlp-endpoint: %w", err)
	}
	about := resource.NewSchemaless(
		attribute.String("service.name", "centrifuge"),
		attribute.String("service.version", versionName()),
	)
	return &tracer{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}, nil
}

// provider is nil if no traces are made.
func (t *tracer) provider() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return t.sdk
}

// deliverer makes a span of each attempt.
func (t *tracer) deliverer(d director.Deliverer) director.Deliverer {
	if t == nil {
		return d
	}
	return &tracedDeliverer{d, t.sdk.Tracer("centrifuge/delivery")}
}

// close sends what is left, after ctx has ended too.
func (t *tracer) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := t.sdk.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

type tracedDeliverer struct {
	next   director.Deliverer
	tracer trace.Tracer
}

// Deliver implements [director.Deliverer].
func (d *tracedDeliverer) Deliver(ctx context.Context, job *centrifuge.Job, attempt uint32) delivery.Result {
	ctx, span := d.tracer.Start(ctx, "deliver", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("centrifuge.job.id", job.ID.String()),
		attribute.String("centrifuge.source", job.Source),
		attribute.String("centrifuge.destination", job.Destination),
		attribute.Int64("centrifuge.attempt", int64(attempt)),
	))
	defer span.End()
	result := d.next.Deliver(ctx, job, attempt)
	span.SetAttributes(
		attribute.String("centrifuge.outcome", result.Outcome.String()),
		attribute.Int("http.response.status_code", result.StatusCode),
	)
	if result.Outcome != centrifuge.OutcomeSucceeded {
		span.SetStatus(codes.Error, string(result.ErrorCode))
	}
	return result
}
