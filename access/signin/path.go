package signin

import (
	"net/url"
	"strings"
)

// safePath is where to go after a sign-in: a path of this server, whatever was
// asked for, or the front page. A browser takes "//host" and "/\host" for another
// server, and drops tabs and line ends before it looks.
func safePath(asked string) string {
	if !strings.HasPrefix(asked, "/") || strings.HasPrefix(asked, "//") ||
		strings.ContainsFunc(asked, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return "/"
	}
	u, err := url.Parse(asked)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	if strings.HasPrefix(u.Path, signInPath) || strings.HasPrefix(u.Path, signOutPath) {
		return "/"
	}
	return asked
}
