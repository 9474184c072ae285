package centrifuge_test

import (
	"testing"

	"centrifuge"
)

func TestEveryStatus(t *testing.T) {
	retried := map[int]bool{408: true, 425: true, 429: true}
	for code := 500; code <= 599; code++ {
		retried[code] = code != 501 && code != 505
	}
	for code := -1; code <= 1000; code++ {
		want := centrifuge.OutcomeDiscarded
		switch {
		case code >= 200 && code < 300:
			want = centrifuge.OutcomeSucceeded
		case retried[code]:
			want = centrifuge.OutcomeRetry
		}
		if got := centrifuge.ClassifyStatus(code); got != want {
			t.Errorf("ClassifyStatus(%d) = %v, want %v", code, got, want)
		}
	}
}

func TestEveryErrorCode(t *testing.T) {
	discarded := map[centrifuge.ErrorCode]bool{
		centrifuge.ErrorBadResponse: true, centrifuge.ErrorForbiddenAddress: true, centrifuge.ErrorBadRequest: true,
		centrifuge.ErrorExpired: true, centrifuge.ErrorFlushed: true, centrifuge.ErrorAttempts: true,
		"EUNHEARDOF": true, "": true,
	}
	for _, code := range append(centrifuge.ErrorCodes[:], "EUNHEARDOF", "") {
		want := centrifuge.OutcomeRetry
		if discarded[code] {
			want = centrifuge.OutcomeDiscarded
		}
		if got := centrifuge.ClassifyError(code); got != want {
			t.Errorf("ClassifyError(%q) = %v, want %v", code, got, want)
		}
	}
}

func TestOutcomeNames(t *testing.T) {
	for o, want := range map[centrifuge.Outcome]string{
		centrifuge.OutcomeSucceeded: "succeeded", centrifuge.OutcomeRetry: "retry",
		centrifuge.OutcomeDiscarded: "discarded", 0: "unknown",
	} {
		if got := o.String(); got != want {
			t.Errorf("Outcome(%d) = %q, want %q", o, got, want)
		}
	}
}
