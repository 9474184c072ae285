package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"centrifuge"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

func TestErrorsOfTheDirector(t *testing.T) {
	var given error
	backend := &fake{submit: func(context.Context, director.Submission) (director.Receipt, error) {
		return director.Receipt{}, given
	}}
	var logged bytes.Buffer
	address := serve(t, Options{Backends: backend.backends(), Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	jobs := centrifugev1connect.NewJobServiceClient(h2c(t), "http://"+address, connect.WithGRPC())

	id := centrifuge.ID{0: 7}
	for _, test := range []struct {
		err        error
		status     int
		code       connect.Code
		message    string
		retryAfter string
	}{
		{
			err: &director.InvalidError{Index: 3, Field: "endpoint", Reason: "is required"}, status: http.StatusBadRequest,
			code: connect.CodeInvalidArgument, message: "jobs[3].endpoint: is required",
		},
		{
			err:    fmt.Errorf("check: %w", &director.InvalidError{Index: -1, Field: "transaction_id", Reason: "is long"}),
			status: http.StatusBadRequest, code: connect.CodeInvalidArgument, message: "transaction_id: is long",
		},
		{
			err: &director.ExistsError{Index: 1, ID: id}, status: http.StatusConflict,
			code: connect.CodeAlreadyExists, message: "jobs[1].id: a job " + id.String() + " was accepted before",
		},
		{
			err:    &director.ExhaustedError{Reason: "the disk is nearly full", RetryAfter: 1200 * time.Millisecond},
			status: http.StatusTooManyRequests, code: connect.CodeResourceExhausted,
			message: "the disk is nearly full; try again in 1.2s", retryAfter: "2",
		},
		{
			err:    &director.ExhaustedError{Reason: "memory is nearly full"},
			status: http.StatusTooManyRequests, code: connect.CodeResourceExhausted,
			message: "memory is nearly full; try again in 0s", retryAfter: "1",
		},
		{
			err: fmt.Errorf("commit: %w", director.ErrUnavailable), status: http.StatusServiceUnavailable,
			code: connect.CodeUnavailable, message: "commit: " + director.ErrUnavailable.Error(),
		},
		{
			err: fmt.Errorf("job %s: %w", id, director.ErrNotFound), status: http.StatusNotFound,
			code: connect.CodeNotFound, message: director.ErrNotFound.Error(),
		},
		{err: fmt.Errorf("wait: %w", context.Canceled), status: 499, code: connect.CodeCanceled, message: "context canceled"},
		{
			err: fmt.Errorf("wait: %w", context.DeadlineExceeded), status: http.StatusGatewayTimeout,
			code: connect.CodeDeadlineExceeded, message: "context deadline exceeded",
		},
		{
			err: errors.New("open /secret/path: input/output error"), status: http.StatusInternalServerError,
			code: connect.CodeInternal, message: "internal error; the server's log says more",
		},
	} {
		given = test.err
		logged.Reset()
		status, header, content := post(t, address, submitPath, `{}`)
		var answer struct{ Code, Message string }
		if err := json.Unmarshal([]byte(content), &answer); err != nil {
			t.Fatal(err)
		}
		if status != test.status || answer.Code != test.code.String() || answer.Message != test.message {
			t.Errorf("%v: answered %d %s", test.err, status, content)
		}
		if got := header.Get("Retry-After"); got != test.retryAfter {
			t.Errorf("%v: Retry-After is %q, want %q", test.err, got, test.retryAfter)
		}
		_, err := jobs.Submit(t.Context(), connect.NewRequest(&pb.SubmitRequest{}))
		if connect.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%v: gRPC was answered %v", test.err, err)
		}
		if internal := test.code == connect.CodeInternal; internal != strings.Contains(logged.String(), "/secret/path") {
			t.Errorf("%v: the log says %q", test.err, &logged)
		}
	}
}

func TestErrorDetailsAreForPrograms(t *testing.T) {
	var answer error = &director.InvalidError{Index: 2, Field: "headers", Reason: "holds \xff"}
	backend := &fake{submit: func(context.Context, director.Submission) (director.Receipt, error) {
		return director.Receipt{}, answer
	}}
	address := serve(t, Options{Backends: backend.backends()})
	for name, options := range map[string][]connect.ClientOption{"connect": nil, "gRPC": {connect.WithGRPC()}} {
		jobs := centrifugev1connect.NewJobServiceClient(h2c(t), "http://"+address, options...)
		detail := func() any {
			_, err := jobs.Submit(t.Context(), connect.NewRequest(&pb.SubmitRequest{}))
			var told *connect.Error
			if !errors.As(err, &told) || len(told.Details()) != 1 {
				t.Fatalf("%s: answered %v", name, err)
			}
			value, err := told.Details()[0].Value()
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
		answer = &director.InvalidError{Index: 2, Field: "headers", Reason: "holds \xff"}
		fault, ok := detail().(*errdetails.BadRequest)
		if !ok || fault.GetFieldViolations()[0].GetField() != "jobs[2].headers" ||
			fault.GetFieldViolations()[0].GetDescription() != "holds \ufffd" {
			t.Errorf("%s: got %v", name, fault)
		}
		answer = &director.ExhaustedError{Reason: "full", RetryAfter: 1500 * time.Millisecond}
		retry, ok := detail().(*errdetails.RetryInfo)
		if !ok || retry.GetRetryDelay().AsDuration() != 1500*time.Millisecond {
			t.Errorf("%s: got %v", name, retry)
		}
	}
}

func TestFaultsOfMessages(t *testing.T) {
	address := serve(t, Options{})
	job := func(fields string) string {
		return `{"jobs": [{"source": "s"}, {"source": "s", ` + fields + `}]}`
	}
	const (
		submit = "JobService/Submit"
		policy = "QueueService/SetPolicy"
		list   = "ArchiveService/List"
		replay = "ArchiveService/Replay"
	)
	for _, test := range []struct{ procedure, request, message string }{
		{submit, job(`"id": "too-short"`), `jobs[1].id: is "too-short"`},
		{submit, job(`"id": "000000000000000000000000000"`), "jobs[1].id: is the zero id"},
		{submit, job(`"ttl": "1s", "expireAt": "2100-01-01T00:00:00Z"`), "jobs[1].ttl: is given beside expire_at"},
		{submit, job(`"ttl": "-1s"`), "jobs[1].ttl: is -1s"},
		{submit, job(`"ttl": "0s"`), "jobs[1].ttl: is 0s"},
		{submit, job(`"ttl": "604801s"`), "jobs[1].ttl: is 168h0m1s; at most 168h0m0s"},
		{submit, job(`"ttl": "315576000001s"`), "google.protobuf.Duration"},
		{submit, job(`"expireAt": "0001-01-01T00:00:00Z"`), "jobs[1].expire_at: is the beginning"},
		{submit, job(`"timeout": "-0.5s"`), "jobs[1].timeout: is -500ms"},
		{submit, job(`"timeout": "0.000999s"`), "jobs[1].timeout: is 999"},
		{submit, job(`"retry": {"minBackoff": "-1s"}`), "jobs[1].retry.min_backoff: is -1s"},
		{submit, job(`"retry": {"maxBackoff": "-1s"}`), "jobs[1].retry.max_backoff: is -1s"},
		{submit, job(`"encoding": 3`), "jobs[1].encoding: is 3, which is unknown"},
		{submit, job(`"encoding": "ENCODING_BR"`), "ENCODING_BR"},
		{submit, job(`"payload": "%%"`), "payload"},
		{submit, job(`"headerz": []`), `unknown field "headerz"`},
		{submit, `{"jobs": [`, "unmarshal message"},
		{submit, ``, "the body is empty"},
		{"JobService/Get", `{}`, "id: required"},
		{"JobService/Get", `{"id": "x"}`, `id: is "x"`},
		{"QueueService/List", `{"pageSize": -1}`, "page_size: is -1"},
		{"QueueService/List", `{"pageToken": "!"}`, "page_token: is not one that a listing gave"},
		{"QueueService/List", `{"pageToken": "____"}`, "page_token: is not one that a listing gave"},
		{policy, `{"policy": {"retry": {"minBackoff": "-1s"}}}`, "policy.retry.min_backoff: is -1s"},
		{list, `{"pageSize": -1}`, "page_size: is -1"},
		{list, `{"filter": {"statusCode": -1}}`, "filter.status_code: is -1"},
		{list, `{"filter": {"jobId": "x"}}`, "filter.job_id"},
		{list, `{"filter": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}}`, "filter.until: is not after since"},
		{replay, `{}`, "filter: chooses the whole archive"},
		{replay, `{"filter": {"source": "s"}, "rate": -1}`, "rate: is -1"},
		{replay, `{"filter": {"source": "s"}, "rate": "NaN"}`, "rate: is NaN"},
		{replay, `{"filter": {"source": "s"}, "rate": "Infinity"}`, "rate: is +Inf"},
	} {
		status, _, content := post(t, address, "/centrifuge.v1."+test.procedure, test.request)
		var answer struct{ Code, Message string }
		if err := json.Unmarshal([]byte(content), &answer); err != nil {
			t.Fatal(err)
		}
		if status != http.StatusBadRequest || answer.Code != "invalid_argument" || !strings.Contains(answer.Message, test.message) {
			t.Errorf("%s %s: answered %d %s, want %q", test.procedure, test.request, status, content, test.message)
		}
	}
}
