package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"

	"centrifuge"
)

// failed is the result of an attempt without a status; a is nil if it never
// began.
func failed(a *attempt, code centrifuge.ErrorCode, message string) Result {
	return Result{
		Outcome:   centrifuge.ClassifyError(code),
		ErrorCode: code,
		Error:     text([]byte(message)),
		Sent:      a != nil && a.sent(),
	}
}

// refused is the result of an attempt that was not made.
func refused(err error) Result {
	code := centrifuge.ErrorBadRequest
	if forbidden := (*forbiddenError)(nil); errors.As(err, &forbidden) {
		code = centrifuge.ErrorForbiddenAddress
	}
	return failed(nil, code, err.Error())
}

// judgeError is the result of an attempt whose round trip failed; ctx is the
// caller's.
func judgeError(ctx context.Context, a *attempt, err error) Result {
	if ctx.Err() != nil {
		return failed(a, centrifuge.ErrorInterrupted, "interrupted: "+err.Error())
	}
	if status, ok := malformedStatus(err); ok && !a.cut() {
		return Result{
			Outcome:    centrifuge.OutcomeDiscarded,
			StatusCode: status,
			Error:      text([]byte(err.Error())),
			Sent:       true,
		}
	}
	return failed(a, errorCode(a, err), err.Error())
}

// malformedStatus finds the status code in the error that net/http makes of a
// response such as "HTTP/1.1 1": not three digits, yet a number.
func malformedStatus(err error) (int, bool) {
	_, quoted, ok := strings.Cut(err.Error(), "malformed HTTP status code ")
	if !ok {
		return 0, false
	}
	digits, err := strconv.Unquote(quoted)
	if err != nil {
		return 0, false
	}
	code, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || code == 0 || digits[0] == '0' { // 0200 is not 200
		return 0, false
	}
	return int(code), true
}

// errorCode names the failure of an attempt that was not interrupted.
func errorCode(a *attempt, err error) centrifuge.ErrorCode {
	if forbidden := (*forbiddenError)(nil); errors.As(err, &forbidden) {
		return centrifuge.ErrorForbiddenAddress
	}
	if a.over() {
		if a.resolving.Load() && !a.sent() {
			return centrifuge.ErrorTryAgain
		}
		return centrifuge.ErrorTimedOut
	}
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		if dns.IsNotFound {
			return centrifuge.ErrorNotFound
		}
		return centrifuge.ErrorTryAgain
	}
	if proxy := (*proxyError)(nil); errors.As(err, &proxy) {
		return centrifuge.ErrorNetwork
	}
	if isTLS(err) {
		return centrifuge.ErrorTLS
	}
	if code, ok := errnoCode(err); ok {
		return code
	}
	if isMalformed(err) {
		if a.cut() {
			return centrifuge.ErrorConnReset // net/http takes half a line for a whole one
		}
		return centrifuge.ErrorBadResponse
	}
	if isReset(err) {
		return centrifuge.ErrorConnReset
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return centrifuge.ErrorTimedOut
	}
	return centrifuge.ErrorNetwork
}

func errnoCode(err error) (centrifuge.ErrorCode, bool) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return centrifuge.ErrorNone, false
	}
	switch errno {
	case syscall.ECONNREFUSED:
		return centrifuge.ErrorConnRefused, true
	case syscall.ECONNRESET, syscall.EPIPE:
		return centrifuge.ErrorConnReset, true
	case syscall.ECONNABORTED:
		return centrifuge.ErrorConnAborted, true
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return centrifuge.ErrorHostUnreachable, true
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		return centrifuge.ErrorNetUnreachable, true
	case syscall.ETIMEDOUT:
		return centrifuge.ErrorTimedOut, true
	default:
		return centrifuge.ErrorNetwork, true
	}
}

// isTLS reports whether a handshake failed, or the peer complained of one
// later. Many errors of crypto/tls have no type of their own.
func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		op           *net.OpError
	)
	if errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) {
		return true
	}
	if errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		return true
	}
	message := err.Error()
	return strings.Contains(message, "tls: ") || strings.Contains(message, "x509: ")
}

// isReset reports whether the peer closed the connection, or an HTTP/2 stream
// of it, before the response.
func isReset(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) {
		return true
	}
	message := err.Error()
	for _, part := range [...]string{
		"server closed idle connection",
		"http2: server sent GOAWAY",
		"http2: Transport received", // GOAWAY, gracefully or not
		"http2: client conn",        // closed, lost, not usable
		"http2: Transport: cannot retry",
		"stream error: ",
		"connection error: ",
	} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// isMalformed reports whether what came back is not HTTP or beyond its limits.
// Most of these errors of net/http have no type of their own.
func isMalformed(err error) bool {
	if protocol := textproto.ProtocolError(""); errors.As(err, &protocol) {
		return true
	}
	message := err.Error()
	for _, part := range [...]string{
		"malformed ",
		"server response headers exceeded",
		"header list larger than",
		"bad Content-Length",
		"invalid Content-Length",
		"multiple Content-Length",
		"transfer encoding",
		"1xx informational response",
		"frame too large",
	} {
		if strings.Contains(message, part) {
			return true
		}
	}
	// Our side closes an HTTP/2 stream or connection of a peer that breaks the
	// protocol; if the peer did, it says so.
	return strings.Contains(message, "PROTOCOL_ERROR") && !strings.Contains(message, "received from peer")
}
