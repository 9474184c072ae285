package visibility

import (
	"strings"
	"testing"

	"centrifuge"
)

func TestRedactHeaders(t *testing.T) {
	headers := []centrifuge.Header{
		{Name: "authorization", Value: "Basic x"},
		{Name: "X-Api-Key", Value: "x"},
		{Name: "Cookie", Value: "x"},
		{Name: "X-Hub-Signature-256", Value: "x"},
		{Name: "Content-Type", Value: "text/plain"},
	}
	for _, h := range RedactHeaders(headers) {
		if (h.Value == Redacted) == (h.Name == "Content-Type") {
			t.Errorf("%s: %s", h.Name, h.Value)
		}
	}
	if headers[0].Value != "Basic x" {
		t.Error("the job itself is changed")
	}
}

func TestRedactEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://e.example/a?b=c&d#f":                         "https://e.example/a?b=c&d#f",
		"https://e.example/?api_key=hush&x=1":                 "https://e.example/?api_key=redacted&x=1",
		"https://e.example/?x=1&Access%5FTo%6ben=hush;y=hush": "https://e.example/?x=1&Access%5FTo%6ben=redacted",
		"https://e.example/?sig=hush&key=hush&monkey=1":       "https://e.example/?sig=redacted&key=redacted&monkey=1",
		"https://e.example/?%zz=hush":                         "https://e.example/?%zz=redacted",
		"https://user:hush@e.example/":                        "https://redacted@e.example/",
		"https://hush@e.example/":                             "https://redacted@e.example/",
		"ht tp://hush":                                        Redacted,
	} {
		if got := RedactEndpoint(endpoint); got != want {
			t.Errorf("%s became %s, want %s", endpoint, got, want)
		}
	}
	long := "https://e.example/" + strings.Repeat("x", 3000)
	if RedactEndpoint(long) != long {
		t.Error("a long endpoint is cut")
	}
}
