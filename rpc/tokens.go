package rpc

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// The lengths a token may have, in characters.
const (
	minToken = 16
	maxToken = 512
)

// Tokens are the bearer tokens that open the server, read from a file and read
// again within a second of its change. It is safe for concurrent use.
//
// The file has a token a line, TOKEN or NAME:TOKEN, where the name is what logs
// call the caller. Tokens are 16 to 512 of the characters of RFC 6750 (letters,
// digits, -._~+/=). Empty lines and lines that begin with # are skipped.
type Tokens struct{ file *watched[[]token] }

// token is kept as a digest, so that no memory holds the secret and every
// comparison takes the same time.
type token struct {
	name string
	sum  [sha256.Size]byte
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
	file, err := watch(logger, parse, path)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	return &Tokens{file: file}, nil
}

// Caller tells who sent an Authorization header, and whether its token is good.
// A token without a name has the empty one.
func (t *Tokens) Caller(authorization string) (name string, ok bool) {
	scheme, given, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for _, known := range t.file.get() { // all of them, whichever it is
		if subtle.ConstantTimeCompare(known.sum[:], sum[:]) == 1 {
			name, ok = known.name, true
		}
	}
	return name, ok
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
		name, secret, named := strings.Cut(string(line), ":")
		if !named {
			name, secret = "", name
		}
		name, secret = strings.TrimSpace(name), strings.TrimSpace(secret)
		if err := checkToken(name, secret); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		sum := sha256.Sum256([]byte(secret))
		if first, twice := lines[sum]; twice {
			return nil, fmt.Errorf("line %d: the same token as in line %d", n, first)
		}
		lines[sum] = n
		tokens = append(tokens, token{name: name, sum: sum})
	}
	if len(tokens) == 0 {
		return nil, errors.New("holds no token")
	}
	return tokens, nil
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
