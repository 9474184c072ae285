package visibility

import (
	"net/url"
	"slices"
	"strings"

	"centrifuge"
)

// Redacted stands where a secret was.
const Redacted = "(redacted)"

// A header or parameter whose name contains one of these is taken for a secret.
var secretWords = [...]string{
	"auth", "cookie", "api-key", "apikey", "api_key", "token", "secret", "passw", "signature", "credential", "session", "private",
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretWords[:], func(word string) bool { return strings.Contains(name, word) })
}

// Bounds of what is kept of a sample.
const (
	maxSampleHeaders = 4 << 10 // bytes, of the request's and of the response's
	maxSampleText    = 2 << 10 // bytes of an endpoint, and of a body
)

// redactHeaders copies headers without what looks like a secret, as many as fit.
func redactHeaders(headers []centrifuge.Header) []centrifuge.Header {
	size := 0
	out := make([]centrifuge.Header, 0, len(headers))
	for _, h := range headers {
		if secretName(h.Name) {
			h.Value = Redacted
		}
		h.Name, h.Value = printable(h.Name), printable(h.Value)
		if size += len(h.Name) + len(h.Value); size > maxSampleHeaders {
			break
		}
		out = append(out, h)
	}
	return out
}

// redactEndpoint removes from a URL the password and the values of parameters whose
// names say that they are secret.
func redactEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return Redacted
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	parts := strings.Split(u.RawQuery, "&")
	for i, part := range parts {
		if name, _, ok := strings.Cut(part, "="); ok && secretName(name) {
			parts[i] = name + "=redacted"
		}
	}
	u.RawQuery = strings.Join(parts, "&")
	return cut(u.String())
}

// printable is text without what could disturb a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func cut(s string) string {
	if len(s) > maxSampleText {
		return strings.ToValidUTF8(s[:maxSampleText], "") + "…"
	}
	return s
}
