package rpc

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	tokenA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	tokenB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openTokens(t *testing.T, content string) *Tokens {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, path, content)
	tokens, err := OpenTokens(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestCallers(t *testing.T) {
	tokens := openTokens(t, "# who may call\n\n  billing : "+tokenA+"  \r\n"+tokenB+"\n")
	for _, test := range []struct {
		authorization, name string
		ok                  bool
	}{
		{"Bearer " + tokenA, "billing", true},
		{"bearer " + tokenA, "billing", true},
		{"BEARER  " + tokenA + " ", "billing", true},
		{"Bearer " + tokenB, "", true},
		{"Bearer " + tokenA[1:], "", false},
		{"Bearer " + tokenA + "a", "", false},
		{"Bearer billing:" + tokenA, "", false},
		{"Bearer # who may call", "", false},
		{"Bearer ", "", false},
		{"Bearer", "", false},
		{"Basic " + tokenA, "", false},
		{tokenA, "", false},
		{"", "", false},
	} {
		if name, ok := tokens.Caller(test.authorization); name != test.name || ok != test.ok {
			t.Errorf("%q is from %q, %t; want %q, %t", test.authorization, name, ok, test.name, test.ok)
		}
	}
}

func TestTokenFilesThatCannotBeUsed(t *testing.T) {
	for content, want := range map[string]string{
		"":                                 "holds no token",
		"# nothing\n\n":                    "holds no token",
		"short":                            "line 1: the token has 5 characters",
		"#\nname:":                         "line 2: the token has 0 characters",
		strings.Repeat("x", 513):           "line 1: the token has 513 characters",
		tokenA + "\n" + "b:" + tokenA:      "line 2: the same token as in line 1",
		tokenA + " " + tokenB:              "line 1: the token has a character other than",
		"a:b:" + tokenA:                    "line 1: the token has a character other than",
		"two words:" + tokenA:              "line 1: the name has a space",
		strings.Repeat("#", maxFileSize+1): "is larger than",
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		writeFile(t, path, content)
		_, err := OpenTokens(path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q gave %v, want %q", content, err, want)
			continue
		}
		for _, secret := range []string{tokenA, tokenB, "short"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error gives the secret away: %v", err)
			}
		}
	}
	if _, err := OpenTokens(filepath.Join(t.TempDir(), "nowhere"), slog.New(slog.DiscardHandler)); !os.IsNotExist(err) && err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		path := filepath.Join(t.TempDir(), "tokens")
		writeFile(t, path, tokenA)
		tokens, err := OpenTokens(path, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		good := func(token string) bool {
			_, ok := tokens.Caller("Bearer " + token)
			return ok
		}

		writeFile(t, path, tokenB) // of the same length, within the same moment
		time.Sleep(recheck - time.Nanosecond)
		if !good(tokenA) || good(tokenB) {
			t.Error("the file was looked at before a second had passed")
		}
		time.Sleep(time.Nanosecond)
		if good(tokenA) || !good(tokenB) {
			t.Error("the file was not read again")
		}
		if n := strings.Count(logged.String(), "read again"); n != 1 {
			t.Errorf("%d lines tell of it: %s", n, &logged)
		}

		logged.Reset()
		for _, spoil := range []func(){
			func() { writeFile(t, path, "short") },
			func() { writeFile(t, path, "") },
			func() {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
		} {
			spoil()
			for range 3 {
				time.Sleep(recheck)
				if !good(tokenB) || good(tokenA) {
					t.Error("a file that cannot be used changed the tokens")
				}
			}
		}
		if n := strings.Count(logged.String(), "cannot be used"); n != 3 {
			t.Errorf("%d lines tell of 3 bad files: %s", n, &logged)
		}

		writeFile(t, path, tokenA)
		time.Sleep(recheck)
		if !good(tokenA) || good(tokenB) {
			t.Error("the file was not read again after it was mended")
		}
		if strings.Contains(logged.String(), tokenA) || strings.Contains(logged.String(), tokenB) {
			t.Errorf("the log gives tokens away: %s", &logged)
		}
	})
}

func TestReadableTokenFileIsWarnedOf(t *testing.T) {
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		path := filepath.Join(t.TempDir(), "tokens")
		writeFile(t, path, tokenA)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		if _, err := OpenTokens(path, slog.New(slog.NewTextHandler(&logged, nil))); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(logged.String(), "chmod 600") != warned {
			t.Errorf("mode %o: the log says %q", mode, &logged)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte("# c\nname:" + tokenA + "\n" + tokenB))
	f.Add([]byte("short\n::\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		tokens, err := parseTokens(content)
		if err == nil && len(tokens) == 0 {
			t.Error("a file without tokens opens the server to nobody, without an error")
		}
	})
}
