package centrifuge

// Outcome is what one attempt means for its job.
type Outcome uint8

// The outcomes of an attempt.
const (
	OutcomeSucceeded Outcome = 1 // delivered
	OutcomeRetry     Outcome = 2 // failed for now
	OutcomeDiscarded Outcome = 3 // failed for ever
)

// String is the outcome's name as metrics and pages show it.
func (o Outcome) String() string {
	switch o {
	case OutcomeSucceeded:
		return "succeeded"
	case OutcomeRetry:
		return "retry"
	case OutcomeDiscarded:
		return "discarded"
	default:
		return "unknown"
	}
}

// ClassifyStatus judges a response by its status code alone:
//
//	2xx                                    succeeded
//	408, 425, 429, 5xx except 501 and 505  retry
//	everything else                        discarded
//
// Everything else includes redirects, which are not followed, and numbers
// outside HTTP's range: a status such as 1 or 101 says nothing of a later try
// (post of 7 August 2018).
func ClassifyStatus(code int) Outcome {
	switch {
	case code >= 200 && code <= 299:
		return OutcomeSucceeded
	case code == 408, code == 425, code == 429:
		return OutcomeRetry
	case code == 501, code == 505:
		return OutcomeDiscarded
	case code >= 500 && code <= 599:
		return OutcomeRetry
	default:
		return OutcomeDiscarded
	}
}

// ErrorCode names why there was no usable response, or why a job ended without
// one. The names are the same in databases, metrics and pages.
type ErrorCode string

// The error codes. Those of the network keep the names that operators know from
// getaddrinfo and errno.
const (
	ErrorNone ErrorCode = ""

	ErrorNotFound         ErrorCode = "ENOTFOUND"    // the host does not exist
	ErrorTryAgain         ErrorCode = "EAI_AGAIN"    // the name server failed or was too slow
	ErrorConnRefused      ErrorCode = "ECONNREFUSED" //
	ErrorConnReset        ErrorCode = "ECONNRESET"   // closed by the peer before the response was whole
	ErrorConnAborted      ErrorCode = "ECONNABORTED" //
	ErrorHostUnreachable  ErrorCode = "EHOSTUNREACH" //
	ErrorNetUnreachable   ErrorCode = "ENETUNREACH"  //
	ErrorTimedOut         ErrorCode = "ETIMEDOUT"    // the attempt's timeout ran out
	ErrorTLS              ErrorCode = "ETLS"         // handshake or certificate failed
	ErrorNetwork          ErrorCode = "ENETWORK"     // any other failure of the connection
	ErrorInterrupted      ErrorCode = "EINTERRUPTED" // the Director ended during the attempt; its result is unknown
	ErrorBadResponse      ErrorCode = "EBADRESPONSE" // what came back is not HTTP, or beyond its limits
	ErrorForbiddenAddress ErrorCode = "EFORBIDDEN"   // our guard refused the address
	ErrorBadRequest       ErrorCode = "EBADREQUEST"  // the job cannot be made into a request
	ErrorInternal         ErrorCode = "EINTERNAL"    // a fault of our own during the attempt

	ErrorExpired  ErrorCode = "EXPIRED"  // archived: its time ran out
	ErrorFlushed  ErrorCode = "FLUSHED"  // archived: an operator said so
	ErrorAttempts ErrorCode = "ATTEMPTS" // archived: its policy's attempts are used up
)

// ErrorCodes lists every code but the empty one.
var ErrorCodes = [...]ErrorCode{
	ErrorNotFound, ErrorTryAgain, ErrorConnRefused, ErrorConnReset, ErrorConnAborted,
	ErrorHostUnreachable, ErrorNetUnreachable, ErrorTimedOut, ErrorTLS, ErrorNetwork,
	ErrorInterrupted, ErrorBadResponse, ErrorForbiddenAddress, ErrorBadRequest, ErrorInternal,
	ErrorExpired, ErrorFlushed, ErrorAttempts,
}

// ClassifyError judges an attempt that ended with an error code instead of a
// status: failures of the network are worth another try, refusals of our own
// and answers that are not HTTP are not.
func ClassifyError(code ErrorCode) Outcome {
	switch code {
	case ErrorNotFound, ErrorTryAgain, ErrorConnRefused, ErrorConnReset, ErrorConnAborted,
		ErrorHostUnreachable, ErrorNetUnreachable, ErrorTimedOut, ErrorTLS, ErrorNetwork,
		ErrorInterrupted, ErrorInternal:
		return OutcomeRetry
	default:
		return OutcomeDiscarded
	}
}
