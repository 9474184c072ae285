package s3_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"centrifuge/archive/s3"
	"centrifuge/archive/s3/s3test"
)

func list(t *testing.T, b *s3.Bucket, prefix, after string) []string {
	t.Helper()
	var names []string
	for name, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestListPages(t *testing.T) {
	server := s3test.Start(t)
	var keys, names []string
	for i := range 2300 {
		names = append(names, fmt.Sprintf("%02d/object-%04d", i/100, i))
		keys = append(keys, "p/"+names[i])
	}
	server.Plant(t, keys...)
	server.Plant(t, "p0/other", "p.x", "o/p/00/x") // of other prefixes
	server.Plant(t, "p/.hidden/x", "p/05/with space", "p/05/é", "p/05/a%2Fb", "p/05/a+b")
	b := server.Open(t, "p")
	if got := list(t, b, "", ""); !slices.Equal(got, names) {
		t.Errorf("%d names, want %d", len(got), len(names))
	}
	if n := len(server.Proxy.Requests()); n != 3 {
		t.Errorf("%d requests for 2,300 names and some, want 3", n)
	}
	if got := list(t, b, "", names[1200]); !slices.Equal(got, names[1201:]) {
		t.Errorf("%d names after the 1,201st, want %d", len(got), len(names)-1201)
	}
	if n := len(server.Proxy.Requests()); n != 2 {
		t.Errorf("%d requests for 1,099 names and some, want 2", n)
	}
	if got := list(t, b, "07/", "07/object-0750~"); !slices.Equal(got, names[751:800]) {
		t.Errorf("got %v", got)
	}
	// The second page fails: what was yielded stands, then comes the error.
	server.Proxy.Fail(func(r *http.Request) s3test.Fault {
		if r.URL.Query().Has("continuation-token") {
			return s3test.SlowDown
		}
		return s3test.None
	})
	n, last := 0, error(nil)
	for _, err := range b.List(t.Context(), "", "") {
		if last = err; err == nil {
			n++
		}
	}
	if last == nil || n == 0 || n > 1000 {
		t.Errorf("%d names, then %v", n, last)
	}
}

// An archive in a store that does not list in order could not be read; silence
// would lose jobs from sight.
func TestListOutOfOrder(t *testing.T) {
	server := s3test.Start(t) // for the credentials
	disorder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<ListBucketResult><Contents><Key>b</Key></Contents><Contents><Key>a</Key></Contents></ListBucketResult>`)
	}))
	defer disorder.Close()
	o := server.Options("")
	o.Endpoint = disorder.URL
	b := server.OpenWith(t, o)
	var last error
	for _, err := range b.List(t.Context(), "", "") {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "out of order: a after b") {
		t.Errorf("got %v", last)
	}
}
