package visibility

import (
	"slices"
	"strconv"

	"centrifuge"
)

// Code is the status that an endpoint answered, or else why there was no usable
// answer. The zero Code is that of an answer without either.
type Code struct {
	Status int                  // 0 if Error is set
	Error  centrifuge.ErrorCode // empty if Status is set
}

// ErrorOther is the code of what had too many codes to tell them all apart.
const ErrorOther centrifuge.ErrorCode = Other

// CodeOf is the code of an attempt.
func CodeOf(status int, err centrifuge.ErrorCode) Code {
	if err != centrifuge.ErrorNone {
		return Code{Error: err}
	}
	return Code{Status: status}
}

// ParseCode reads what [Code.String] writes.
func ParseCode(s string) Code {
	if n, err := strconv.Atoi(s); err == nil {
		return Code{Status: n}
	}
	return Code{Error: centrifuge.ErrorCode(s)}
}

// String is the status as a number, or the name of the error.
func (c Code) String() string {
	if c.Error != centrifuge.ErrorNone {
		return string(c.Error)
	}
	return strconv.Itoa(c.Status)
}

// Codes are stored as numbers: a status as itself, an error as firstError and its
// place in this list, which is only ever added to at the end.
var storedErrors = [...]centrifuge.ErrorCode{
	ErrorOther,
	centrifuge.ErrorNotFound, centrifuge.ErrorTryAgain, centrifuge.ErrorConnRefused, centrifuge.ErrorConnReset,
	centrifuge.ErrorConnAborted, centrifuge.ErrorHostUnreachable, centrifuge.ErrorNetUnreachable,
	centrifuge.ErrorTimedOut, centrifuge.ErrorTLS, centrifuge.ErrorNetwork, centrifuge.ErrorInterrupted,
	centrifuge.ErrorBadResponse, centrifuge.ErrorForbiddenAddress, centrifuge.ErrorBadRequest,
	centrifuge.ErrorInternal, centrifuge.ErrorExpired, centrifuge.ErrorFlushed, centrifuge.ErrorAttempts,
}

const (
	firstError = 1024
	maxCode    = 1<<13 - 1
)

func (c Code) number() uint16 {
	if c.Error == centrifuge.ErrorNone {
		if c.Status >= 0 && c.Status < firstError {
			return uint16(c.Status)
		}
		return firstError
	}
	if i := slices.Index(storedErrors[:], c.Error); i >= 0 {
		return firstError + uint16(i)
	}
	return firstError
}

func codeOfNumber(n uint16) Code {
	switch {
	case n < firstError:
		return Code{Status: int(n)}
	case int(n-firstError) < len(storedErrors):
		return Code{Error: storedErrors[n-firstError]}
	default: // a newer version's
		return Code{Error: ErrorOther}
	}
}
