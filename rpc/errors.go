package rpc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/access"
	"centrifuge/access/links"
	"centrifuge/director"
	"centrifuge/lease"
	"centrifuge/manager"
)

// answerTo is the error as the caller is told it. An error that is none of the
// Director's own is told as internal without its text, and known is false: its
// cause belongs in the log.
func answerTo(err error) (answer *connect.Error, known bool) {
	var (
		invalid   *director.InvalidError
		exists    *director.ExistsError
		ended     *director.TransactionError
		exhausted *director.ExhaustedError
		denied    *access.DeniedError
		gone      *director.GoneError
	)
	switch {
	case errors.As(err, &answer):
		return answer, true
	case errors.As(err, &invalid):
		return invalidArgument(invalid), true
	case errors.As(err, &exists):
		return newAnswer(connect.CodeAlreadyExists, exists), true
	case errors.As(err, &ended):
		return transactionError(ended), true
	case errors.As(err, &exhausted):
		return resourceExhausted(exhausted), true
	case errors.As(err, &denied):
		return newAnswer(connect.CodePermissionDenied, denied), true
	case errors.As(err, &gone):
		return newAnswer(connect.CodeNotFound, gone), true
	case errors.Is(err, director.ErrNotFound):
		return newAnswer(connect.CodeNotFound, director.ErrNotFound), true
	case errors.Is(err, manager.ErrUnknown), errors.Is(err, links.ErrUnknown):
		return newAnswer(connect.CodeNotFound, err), true
	case errors.Is(err, director.ErrWrongJobDB):
		return newAnswer(connect.CodeFailedPrecondition, err), true
	case errors.Is(err, director.ErrForeignJobDB):
		return withReason(newAnswer(connect.CodeFailedPrecondition, err), foreignJobDB), true
	case errors.Is(err, director.ErrNotServing):
		return withReason(newAnswer(connect.CodeUnavailable, err), notStored), true
	case errors.Is(err, director.ErrUnavailable), errors.Is(err, director.ErrRetiring), errors.Is(err, lease.ErrHeld):
		return newAnswer(connect.CodeUnavailable, err), true
	case errors.Is(err, context.Canceled):
		return newAnswer(connect.CodeCanceled, context.Canceled), true
	case errors.Is(err, context.DeadlineExceeded):
		return newAnswer(connect.CodeDeadlineExceeded, context.DeadlineExceeded), true
	default:
		return newAnswer(connect.CodeInternal, errors.New("internal error; the server's log says more")), false
	}
}

// newAnswer is an answer with the error's text, as the wire can carry it: gRPC
// clients cannot read an error at all whose text is not UTF-8.
func newAnswer(code connect.Code, err error) *connect.Error {
	return connect.NewError(code, errors.New(text(err.Error())))
}

// invalidArgument names the field in its message and, for programs, in a
// google.rpc.BadRequest.
func invalidArgument(e *director.InvalidError) *connect.Error {
	field := e.Field
	if e.Index >= 0 {
		field = fmt.Sprintf("jobs[%d].%s", e.Index, e.Field)
	}
	answer := newAnswer(connect.CodeInvalidArgument, e)
	addDetail(answer, &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text(e.Reason)}},
	})
	return answer
}

// resourceExhausted says when to come back: in a header in whole seconds, and
// exactly in a google.rpc.RetryInfo.
func resourceExhausted(e *director.ExhaustedError) *connect.Error {
	answer := newAnswer(connect.CodeResourceExhausted, e)
	wait := max(e.RetryAfter, time.Second)
	answer.Meta().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	addDetail(answer, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	return answer
}

// withReason tells programs why, in a google.rpc.ErrorInfo.
func withReason(answer *connect.Error, reason string) *connect.Error {
	addDetail(answer, &errdetails.ErrorInfo{Reason: reason, Domain: "centrifuge"})
	return answer
}

// addDetail adds a detail. One that does not marshal is left out: the answer's
// message says the same.
func addDetail(answer *connect.Error, message proto.Message) {
	if detail, err := connect.NewErrorDetail(message); err == nil {
		answer.AddDetail(detail)
	}
}
