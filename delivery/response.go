package delivery

import (
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"centrifuge"
)

// readSize is how much is read of a body at once, in bytes.
const readSize = 4 << 10

// judgeResponse is the result of an attempt that got a status. It reads and
// closes the body.
func (c *Client) judgeResponse(resp *http.Response, t *target) Result {
	defer resp.Body.Close()
	code := resp.StatusCode
	result := Result{Outcome: centrifuge.ClassifyStatus(code), StatusCode: code, Sent: true}
	switch {
	case code == 0:
		result.ErrorCode = centrifuge.ErrorBadResponse
		result.Error = "the response's status is 000"
		return result
	case code == http.StatusSwitchingProtocols:
		return result // what follows is not a body
	case code == http.StatusProxyAuthRequired && c.proxy != nil && t.url.Scheme == "http":
		// Our own proxy refuses us; the job is not to blame.
		return Result{
			Outcome:   centrifuge.OutcomeRetry,
			ErrorCode: centrifuge.ErrorNetwork,
			Error:     "the proxy answered " + text([]byte(resp.Status)),
		}
	}
	success := result.Outcome == centrifuge.OutcomeSucceeded
	if !success {
		result.RetryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	result.Error = c.readBody(resp, !success)
	return result
}

// readBody reads a body to its end, if that is near, so that the connection can
// be used again. It returns the first bytes as text if they are to be kept.
func (c *Client) readBody(resp *http.Response, keep bool) string {
	if resp.Body == http.NoBody {
		return ""
	}
	buf := c.buffers.Get().(*[readSize]byte)
	defer c.buffers.Put(buf)
	kept := ""
	if keep {
		n, err := io.ReadFull(resp.Body, buf[:maxKeptBody])
		kept = text(buf[:n])
		if err != nil {
			return kept
		}
	}
	if resp.ContentLength > maxDrainedBody {
		return kept
	}
	for total := 0; total < maxDrainedBody; {
		n, err := resp.Body.Read(buf[:])
		if err != nil {
			break
		}
		total += n
	}
	return kept
}

// text makes valid UTF-8 of at most maxKeptBody bytes out of anything: nothing
// in it can disturb a terminal, a log or a page.
func text(b []byte) string {
	if len(b) >= maxKeptBody {
		b = b[:maxKeptBody]
		// Do not leave half a character at the cut.
		for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
			if utf8.RuneStart(b[i]) {
				if !utf8.FullRune(b[i:]) {
					b = b[:i]
				}
				break
			}
		}
	}
	valid := strings.ToValidUTF8(string(b), "?")
	return strings.TrimSpace(strings.Map(printable, valid))
}

func printable(r rune) rune {
	switch {
	case r == '\n', r == '\t':
		return r
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return ' '
	default:
		return r
	}
}
