package s3_test

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"testing"

	"centrifuge/archive/s3"
	"centrifuge/archive/s3/s3test"
)

func put(t *testing.T, b *s3.Bucket, name, data string) {
	t.Helper()
	if err := b.Put(t.Context(), name, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func wantGet(t *testing.T, b *s3.Bucket, name, want string) {
	t.Helper()
	if got, err := b.Get(t.Context(), name); err != nil || string(got) != want {
		t.Errorf("get %s: %q, %v, want %q", name, got, err, want)
	}
}

func TestPutAgain(t *testing.T) {
	server := s3test.Start(t)
	b := server.Open(t, "p")
	for _, step := range []struct {
		data string
		want []string
	}{
		{"one", []string{"PUT if none"}},
		{"one", []string{"PUT if none", "HEAD"}},
		{"two, longer", []string{"PUT if none", "HEAD", "PUT if same"}},
		{"two, longer", []string{"PUT if none", "HEAD"}},
		{"six", []string{"PUT if none", "HEAD", "PUT if same"}},
		{"ten", []string{"PUT if none", "HEAD", "PUT if same"}},
	} {
		server.Proxy.Requests()
		put(t, b, "x", step.data)
		if got := methods(server); !slices.Equal(got, step.want) {
			t.Errorf("put %q: %q, want %q", step.data, got, step.want)
		}
		wantGet(t, b, "x", step.data)
	}
}

// The two faults of a step: it failed and did nothing, it failed and was done.
// Put may be repeated after either, by another process too.
func TestPutFaults(t *testing.T) {
	server := s3test.Start(t)
	for _, tc := range []struct {
		prefix, before string
		fault          s3test.Fault
		after          string // what is there after the failure
	}{
		{"lost", "", s3test.Lost, ""},
		{"kept", "", s3test.Kept, "data"},
		{"slow", "", s3test.SlowDown, ""},
		{"lost-again", "earlier", s3test.Lost, "earlier"},
		{"kept-again", "earlier", s3test.Kept, "data"},
		{"slow-again", "earlier", s3test.SlowDown, "earlier"},
	} {
		b := server.Open(t, tc.prefix)
		if tc.before != "" {
			put(t, b, "x", tc.before)
		}
		// Of a replacement the first request tells only that something is there.
		server.Proxy.Fail(func(r *http.Request) s3test.Fault {
			if r.Method == http.MethodPut && (tc.before == "" || r.Header.Get("If-Match") != "") {
				return tc.fault
			}
			return s3test.None
		})
		if err := b.Put(t.Context(), "x", []byte("data")); err == nil {
			t.Errorf("%s: no error", tc.prefix)
		}
		server.Proxy.Fail(nil)
		if tc.after != "" {
			wantGet(t, b, "x", tc.after)
		} else if _, err := b.Get(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: get: %v, want fs.ErrNotExist", tc.prefix, err)
		}
		b = server.Open(t, tc.prefix)
		put(t, b, "x", "data")
		wantGet(t, b, "x", "data")
	}
}

// One lost answer is no error: the repetition finds the object there.
func TestPutOnceLostAnswer(t *testing.T) {
	server := s3test.Start(t)
	b := server.Open(t, "")
	failed := false
	server.Proxy.Fail(func(r *http.Request) s3test.Fault {
		if failed || r.Method != http.MethodPut {
			return s3test.None
		}
		failed = true
		return s3test.Kept
	})
	put(t, b, "x", "data")
	if got, want := methods(server), []string{"PUT if none", "PUT if none", "HEAD"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	wantGet(t, b, "x", "data")
}

// Requests that were given up and reach the store afterwards change nothing.
func TestLateRequestsUndoNothing(t *testing.T) {
	server := s3test.Start(t)
	b := server.Open(t, "")
	server.Proxy.Fail(always(http.MethodPut, s3test.Late))
	if err := b.Put(t.Context(), "x", []byte("first")); err == nil {
		t.Fatal("no error")
	}
	server.Proxy.Fail(nil)
	put(t, b, "x", "second")
	server.Proxy.Fail(func(r *http.Request) s3test.Fault {
		if r.Header.Get("If-Match") != "" {
			return s3test.Late
		}
		return s3test.None
	})
	if err := b.Put(t.Context(), "x", []byte("third")); err == nil {
		t.Fatal("no error")
	}
	server.Proxy.Fail(nil)
	put(t, b, "x", "fourth")
	statuses := server.Proxy.DeliverLate()
	if len(statuses) == 0 || slices.ContainsFunc(statuses, func(s int) bool { return s != http.StatusPreconditionFailed }) {
		t.Errorf("the late requests were answered %v", statuses)
	}
	wantGet(t, b, "x", "fourth")
}

// A store that does not know conditions is asked without.
func TestConditionsUnknown(t *testing.T) {
	server := s3test.Start(t)
	b := server.Open(t, "")
	server.Proxy.Fail(func(r *http.Request) s3test.Fault {
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Match") != "" {
			return s3test.NotImplemented
		}
		return s3test.None
	})
	for _, data := range []string{"one", "two"} {
		put(t, b, "x", data)
		wantGet(t, b, "x", data)
	}
}
