package visibility

import (
	"net/url"
	"slices"
	"strings"

	"centrifuge"
)

// Redacted stands where a secret was.
const Redacted = "(redacted)"

// A header or parameter whose name contains one of these is taken for a secret, and
// so is one called key, sig or pwd.
var secretWords = [...]string{
	"auth", "cookie", "api-key", "apikey", "api_key", "token", "secret", "passw", "signature", "credential", "session", "private",
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	return name == "key" || name == "sig" || name == "pwd" || slices.ContainsFunc(secretWords[:], func(word string) bool { return strings.Contains(name, word) })
}

// Bounds of what is kept of a sample.
const (
	maxSampleHeaders = 4 << 10 // bytes, of the request's and of the response's
	maxSampleText    = 2 << 10 // bytes of an endpoint, and of a body
)

// RedactHeaders copies headers, with [Redacted] as the value of those whose names
// say that they are secret.
func RedactHeaders(headers []centrifuge.Header) []centrifuge.Header {
	shown := slices.Clone(headers)
	for i := range shown {
		if secretName(shown[i].Name) {
			shown[i].Value = Redacted
		}
	}
	return shown
}

// redactHeaders copies headers without what looks like a secret, as many as fit.
func redactHeaders(headers []centrifuge.Header) []centrifuge.Header {
	size := 0
	out := make([]centrifuge.Header, 0, len(headers))
	for _, h := range RedactHeaders(headers) {
		h.Name, h.Value = printable(h.Name), printable(h.Value)
		if size += len(h.Name) + len(h.Value); size > maxSampleHeaders {
			break
		}
		out = append(out, h)
	}
	return out
}

// RedactEndpoint removes from a URL the user and password, and the values of
// parameters whose names say that they are secret. What is no URL is a secret as a
// whole.
func RedactEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return Redacted
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	parts := strings.Split(u.RawQuery, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || secretName(plain) {
			parts[i] = name + "=redacted"
		}
	}
	u.RawQuery = strings.Join(parts, "&")
	return u.String()
}

// redactEndpoint is an endpoint without secrets, as much as fits.
func redactEndpoint(endpoint string) string { return cut(RedactEndpoint(endpoint)) }

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
