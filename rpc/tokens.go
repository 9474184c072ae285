package rpc

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"centrifuge/access"
	"centrifuge/internal/watch"
)

// The lengths a token may have, in characters.
const (
	minToken = 16
	maxToken = 512
)

// Tokens are the bearer tokens that open the server, read from a file and read
// again within a second of its change. It is safe for concurrent use.
//
// The file has a token a line, in one of these forms:
//
//	TOKEN
//	NAME:TOKEN
//	NAME:ROLE:TOKEN
//	NAME:ROLE:SOURCE,SOURCE:TOKEN
//
// The name is what logs call the caller. The role is submitter, viewer, operator
// or admin; admin, if none is given. Sources, if they are given, are all that the
// role is good for; a colon, comma, space or percent sign in a source's name is
// written as in a URL (%3A, %2C, %20, %25). Tokens are 16 to 512 of the
// characters of RFC 6750 (letters, digits, -._~+/=). Empty lines and lines that
// begin with # are skipped.
type Tokens struct{ file *watch.Value[[]token] }

// token is kept as a digest, so that no memory holds the secret and every
// comparison takes the same time.
type token struct {
	principal access.Principal
	sum       [sha256.Size]byte
}

// OpenTokens reads a file of tokens, which must hold at least one. Errors name
// the line, never its text. If a later version of the file cannot be used, the
// logger says so and the tokens stay what they were.
func OpenTokens(path string, logger *slog.Logger) (*Tokens, error) {
	parse := func(contents [][]byte) ([]token, error) {
		warnIfReadable(path, logger)
		tokens, err := parseTokens(contents[0])
		if err != nil {
			return nil, fmt.Errorf("token file %s: %w", path, err)
		}
		return tokens, nil
	}
	file, err := watch.Files(logger, parse, path)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	return &Tokens{file: file}, nil
}

// Digest is what is known of a token without knowing it.
func Digest(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// Holder tells for whom the token with this digest stands, and whether the file
// has it now. A token without a name has the empty one.
func (t *Tokens) Holder(sum [sha256.Size]byte) (p access.Principal, ok bool) {
	for _, known := range t.file.Get() { // all of them, whichever it is
		if subtle.ConstantTimeCompare(known.sum[:], sum[:]) == 1 {
			p, ok = known.principal, true
		}
	}
	return p, ok
}

// bearer is the token of an Authorization header.
func bearer(authorization string) (token string, ok bool) {
	scheme, given, _ := strings.Cut(authorization, " ")
	return strings.TrimSpace(given), strings.EqualFold(scheme, "Bearer")
}

func parseTokens(content []byte) ([]token, error) {
	var tokens []token
	lines := map[[sha256.Size]byte]int{}
	n := 0
	for line := range bytes.Lines(content) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		parsed, err := parseToken(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first, twice := lines[parsed.sum]; twice {
			return nil, fmt.Errorf("line %d: the same token as in line %d", n, first)
		}
		lines[parsed.sum] = n
		tokens = append(tokens, parsed)
	}
	if len(tokens) == 0 {
		return nil, errors.New("holds no token")
	}
	return tokens, nil
}

func parseToken(line string) (token, error) {
	parts := strings.Split(line, ":")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	secret := parts[len(parts)-1]
	p := access.Principal{Role: access.Admin}
	if len(parts) > 1 {
		p.Name = parts[0]
	}
	if err := checkToken(p.Name, secret); err != nil {
		return token{}, err
	}
	var err error
	switch len(parts) {
	case 1, 2:
	case 3, 4:
		// What is wrong may be a secret that was written into the wrong place.
		if p.Role, err = access.ParseRole(parts[1]); err != nil {
			return token{}, errors.New("what follows the name is no role; want submitter, viewer, operator or admin")
		}
		if len(parts) == 4 {
			if p.Sources, err = parseSources(parts[2]); err != nil {
				return token{}, err
			}
		}
	default:
		return token{}, errors.New("has more parts than NAME:ROLE:SOURCE,SOURCE:TOKEN")
	}
	return token{principal: p, sum: Digest(secret)}, nil
}

// parseSources reads a list of sources, which must have one.
func parseSources(list string) ([]string, error) {
	var sources []string
	for name := range strings.SplitSeq(list, ",") {
		source, err := url.PathUnescape(strings.TrimSpace(name))
		if err != nil {
			return nil, errors.New("a source has a percent sign that is not written as %25")
		}
		if source == "" {
			return nil, errors.New("a source is empty; leave the list out, with its colon, for all sources")
		}
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources, nil
}

func checkToken(name, secret string) error {
	switch {
	case len(secret) < minToken:
		return fmt.Errorf("the token has %d characters; give it at least %d (openssl rand -hex 32 makes one)", len(secret), minToken)
	case len(secret) > maxToken:
		return fmt.Errorf("the token has %d characters; %d are the most", len(secret), maxToken)
	case strings.ContainsFunc(secret, func(r rune) bool { return !tokenRune(r) }):
		return errors.New("the token has a character other than letters, digits and -._~+/=")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the name has a space or a character outside printable ASCII")
	}
	return nil
}

func tokenRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~+/=", r)
}

// warnIfReadable warns of a file that every user of the machine can read.
func warnIfReadable(path string, logger *slog.Logger) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
		logger.Warn("the token file can be read by every user of this machine; run chmod 600 on it", "file", path)
	}
}
