package signin

import (
	"net/url"
	"strings"
	"testing"
)

func TestSafePaths(t *testing.T) {
	for asked, want := range map[string]string{
		"/": "/", "/queues?source=a&x=%2F%2Fe": "/queues?source=a&x=%2F%2Fe", "/a//b": "/a//b", "/#top": "/#top",
		"": "/", "queues": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", "/\t/evil.example": "/", "/\n/e": "/",
		"http://evil.example": "/", "https:evil.example": "/", "javascript:alert(1)": "/", " //evil.example": "/", "/%zz": "/",
		"/sign-in?next=/": "/", "/sign-out": "/", "/é": "/é",
	} {
		if got := safePath(asked); got != want {
			t.Errorf("%q leads to %q, want %q", asked, got, want)
		}
	}
}

func FuzzSafePath(f *testing.F) {
	for _, seed := range []string{"/", "//e", `/\e`, "/a?b#c", "/\t/e", "http://e"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://dash.example/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		got := safePath(asked)
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != "https" || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q", asked, got)
		}
	})
}
