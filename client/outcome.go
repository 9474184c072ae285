package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// UnknownError means that nobody could tell in time what became of a transaction:
// it may or may not have been stored. Its outcome can be asked for under its id at
// any time, and what must not be done twice must not be submitted under another.
type UnknownError struct {
	TransactionID string
	Err           error // of the last call
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("the outcome of transaction %s is unknown: %v", e.TransactionID, e.Err)
}

func (e *UnknownError) Unwrap() []error { return []error{ErrGaveUp, e.Err} }

// AbortedError means that a transaction was aborted: none of its jobs is, or will
// be, delivered.
type AbortedError struct{ TransactionID string }

func (e *AbortedError) Error() string { return "transaction " + e.TransactionID + " was aborted" }

// outcome is what is known of a call that was made.
type outcome uint8

const (
	done      outcome = iota
	notStored         // it was not made, or did nothing; it may fare better elsewhere, or later
	foreign           // it did nothing, as the Director is another than it was
	refused           // it did nothing, and would not elsewhere
	unknown           // it may have been stored
)

// outcomeOf judges the error of a Submit. What the Director itself has not said to
// have done nothing may have been stored, unless no connection was made.
func outcomeOf(err error) outcome {
	if err == nil {
		return done
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return refused
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return notStored
	}
	code := connect.CodeOf(err)
	switch code {
	case connect.CodeInvalidArgument, connect.CodeAlreadyExists, connect.CodeNotFound, connect.CodePermissionDenied,
		connect.CodeUnauthenticated, connect.CodeUnimplemented, connect.CodeOutOfRange:
		return refused
	default:
	}
	if !connect.IsWireError(err) {
		return unknown
	}
	switch reason := reasonOf(err); {
	case code == connect.CodeFailedPrecondition && reason == "FOREIGN_JOBDB":
		return foreign
	case code == connect.CodeFailedPrecondition:
		return refused
	case code == connect.CodeResourceExhausted, code == connect.CodeUnavailable && reason == "NOT_STORED":
		return notStored
	}
	return unknown
}

// reasonOf is that of a google.rpc.ErrorInfo among the details.
func reasonOf(err error) string {
	answer, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return ""
	}
	for _, detail := range answer.Details() {
		if message, err := detail.Value(); err == nil {
			if info, ok := message.(*errdetails.ErrorInfo); ok {
				return info.GetReason()
			}
		}
	}
	return ""
}
