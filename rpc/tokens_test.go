package rpc

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/access"
	"centrifuge/internal/watch"
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

// holder is whom an Authorization header names.
func holder(tokens *Tokens, authorization string) (access.Principal, bool) {
	secret, ok := bearer(authorization)
	if !ok {
		return access.Principal{}, false
	}
	return tokens.Holder(Digest(secret))
}

func TestRolesAndSourcesOfTokens(t *testing.T) {
	for line, want := range map[string]access.Principal{
		"a:submitter:" + tokenA:                    {Name: "a", Role: access.Submitter},
		"a:viewer:" + tokenA:                       {Name: "a", Role: access.Viewer},
		" a : operator : shop , app : " + tokenA:   {Name: "a", Role: access.Operator, Sources: []string{"shop", "app"}},
		"a:admin:shop,shop:" + tokenA:              {Name: "a", Role: access.Admin, Sources: []string{"shop"}},
		":viewer:" + tokenA:                        {Role: access.Viewer},
		"a:viewer:x%3Ay%2Cz%25%20%C3%A9:" + tokenA: {Name: "a", Role: access.Viewer, Sources: []string{"x:y,z% é"}},
		"viewer:" + tokenA:                         {Name: "viewer", Role: access.Admin}, // as it always was: a name
	} {
		p, ok := openTokens(t, line).Holder(Digest(tokenA))
		if !ok || !reflect.DeepEqual(p, want) {
			t.Errorf("%s is of %+v, %t; want %+v", line, p, ok, want)
		}
	}
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
		p, ok := holder(tokens, test.authorization)
		if p.Name != test.name || ok != test.ok {
			t.Errorf("%q is from %q, %t; want %q, %t", test.authorization, p.Name, ok, test.name, test.ok)
		}
		if ok != p.MayAdmin() {
			t.Errorf("%q, which names no role, is of %+v", test.authorization, p)
		}
	}
}

func TestTokenFilesThatCannotBeUsed(t *testing.T) {
	for content, want := range map[string]string{
		"":                                   "holds no token",
		"# nothing\n\n":                      "holds no token",
		"short":                              "line 1: the token has 5 characters",
		"#\nname:":                           "line 2: the token has 0 characters",
		strings.Repeat("x", 513):             "line 1: the token has 513 characters",
		tokenA + "\n" + "b:" + tokenA:        "line 2: the same token as in line 1",
		tokenA + " " + tokenB:                "line 1: the token has a character other than",
		"a:b:" + tokenA:                      "line 1: what follows the name is no role",
		tokenB + ":" + tokenB + ":" + tokenA: "line 1: what follows the name is no role",
		"a:Admin:" + tokenA:                  "line 1: what follows the name is no role",
		"a:nobody:" + tokenA:                 "line 1: what follows the name is no role",
		"a:viewer::" + tokenA:                "line 1: a source is empty",
		"a:viewer:s,,t:" + tokenA:            "line 1: a source is empty",
		"a:viewer:s%zz:" + tokenA:            "line 1: a source has a percent sign",
		"a:viewer:s:t:" + tokenA:             "line 1: has more parts than",
		"a:viewer:short":                     "line 1: the token has 5 characters",
		"two words:" + tokenA:                "line 1: the name has a space",
		strings.Repeat("#", watch.MaxFile+1): "is larger than",
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
			_, ok := tokens.Holder(Digest(token))
			return ok
		}

		writeFile(t, path, tokenB) // of the same length, within the same moment
		time.Sleep(watch.Recheck - time.Nanosecond)
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
				time.Sleep(watch.Recheck)
				if !good(tokenB) || good(tokenA) {
					t.Error("a file that cannot be used changed the tokens")
				}
			}
		}
		if n := strings.Count(logged.String(), "cannot be used"); n != 3 {
			t.Errorf("%d lines tell of 3 bad files: %s", n, &logged)
		}

		writeFile(t, path, tokenA)
		time.Sleep(watch.Recheck)
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
	f.Add([]byte("a:viewer:s,%3A:" + tokenA))
	f.Fuzz(func(t *testing.T, content []byte) {
		tokens, err := parseTokens(content)
		if err == nil && len(tokens) == 0 {
			t.Error("a file without tokens opens the server to nobody, without an error")
		}
		for _, token := range tokens {
			if p := token.principal; !p.Has(access.SignIn) || p.Sources != nil && len(p.Sources) == 0 {
				t.Errorf("a token stands for %+v", p)
			}
		}
	})
}
