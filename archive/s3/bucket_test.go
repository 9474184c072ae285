package s3_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"centrifuge/archive"
	"centrifuge/archive/archivetest"
	"centrifuge/archive/s3/s3test"
)

func TestConformance(t *testing.T) {
	server := s3test.Start(t)
	archivetest.Run(t, func(t *testing.T, place string) archive.Bucket {
		return server.Open(t, "conformance/"+place)
	})
}

// always has every request of a method fail.
func always(method string, fault s3test.Fault) func(*http.Request) s3test.Fault {
	return func(r *http.Request) s3test.Fault {
		if r.Method == method {
			return fault
		}
		return s3test.None
	}
}

// methods are what a client asked since it was last asked, such as "PUT if none".
func methods(server *s3test.Server) []string {
	var all []string
	for _, r := range server.Proxy.Requests() {
		what := r.Method
		switch {
		case r.Header.Get("If-None-Match") != "":
			what += " if none"
		case r.Header.Get("If-Match") != "":
			what += " if same"
		}
		all = append(all, what)
	}
	return all
}

func TestErrorsSayWhatToDo(t *testing.T) {
	server := s3test.Start(t)
	b := server.Open(t, "p")
	const name = "2026/object"
	for _, tc := range []struct {
		what  string
		do    func() error
		fault func(*http.Request) s3test.Fault
		want  []string
	}{
		{
			"slow down", func() error { return b.Put(t.Context(), name, nil) }, always("PUT", s3test.SlowDown),
			[]string{"put s3://archive/p/2026/object: the store asks for fewer requests (503 SlowDown"},
		},
		{
			"cut short", func() error { _, err := b.Get(t.Context(), name); return err }, always("GET", s3test.Truncated),
			[]string{"get s3://archive/p/2026/object: the answer was cut short"},
		},
		{
			"no answer", func() error { _, err := b.Get(t.Context(), name); return err }, always("GET", s3test.Lost),
			[]string{"get s3://archive/p/2026/object: EOF"},
		},
		{
			"list", func() error {
				for _, err := range b.List(t.Context(), "2026/", "") {
					return err
				}
				return nil
			}, always("GET", s3test.SlowDown),
			[]string{"list s3://archive/p/2026/: the store asks for fewer requests (503 SlowDown"},
		},
		{
			"check", func() error { return b.Check(t.Context()) }, always("GET", s3test.SlowDown),
			[]string{"check s3://archive/p/: the store asks for fewer requests"},
		},
	} {
		server.Proxy.Fail(nil)
		if err := b.Put(t.Context(), name, []byte("whole")); err != nil {
			t.Fatal(err)
		}
		server.Proxy.Requests()
		server.Proxy.Fail(tc.fault)
		err := tc.do()
		if err == nil {
			t.Errorf("%s: no error", tc.what)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tc.what, err, want)
			}
		}
		if n := len(server.Proxy.Requests()); n > 6 { // net/http may repeat each, too
			t.Errorf("%s: %d requests", tc.what, n)
		}
	}
	server.Proxy.Fail(nil)
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWrongCredentials(t *testing.T) {
	server := s3test.Start(t)
	for _, tc := range []struct{ key, secret, want string }{
		{s3test.AccessKey, "wrong-secret", "put s3://archive/x: the store does not know the credentials (403 SignatureDoesNotMatch"},
		{"wrong-access", "wrong-secret", "put s3://archive/x: "}, // this server has a code of its own for it
		{"", "", "put s3://archive/x: get credentials: "},
	} {
		t.Setenv("AWS_ACCESS_KEY_ID", tc.key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", tc.secret)
		b := server.Open(t, "")
		err := b.Put(t.Context(), "x", nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
			continue
		}
		for _, secret := range []string{"wrong-secret", "wrong-access", s3test.AccessKey, s3test.SecretKey} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells %q: %v", secret, err)
			}
		}
	}
}

// A bucket that is missing must not look like one that is empty.
func TestMissingBucket(t *testing.T) {
	server := s3test.Start(t)
	o := server.Options("")
	o.Bucket = "another"
	b := server.OpenWith(t, o)
	_, getErr := b.Get(t.Context(), "x")
	for _, err := range []error{getErr, b.Put(t.Context(), "x", nil), b.Check(t.Context())} {
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is no such bucket") {
			t.Errorf("got %v", err)
		}
	}
}

func TestDownAndBack(t *testing.T) {
	server := s3test.Start(t)
	b := server.Open(t, "")
	if err := b.Put(t.Context(), "before", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	server.Down()
	if err := b.Put(t.Context(), "during", nil); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("put: %v", err)
	}
	if _, err := b.Get(t.Context(), "before"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get: %v", err)
	}
	server.Up(t)
	if err := b.Put(t.Context(), "during", nil); err != nil {
		t.Error(err)
	}
	if data, err := b.Get(t.Context(), "before"); err != nil || string(data) != "kept" {
		t.Errorf("get: %q, %v", data, err)
	}
}

// A store that does not answer costs the time-out, and no more than the caller
// has patience.
func TestStalled(t *testing.T) {
	server := s3test.Start(t)
	o := server.Options("")
	o.Timeout = 50 * time.Millisecond
	b := server.OpenWith(t, o)
	server.Proxy.Fail(func(*http.Request) s3test.Fault { return s3test.Stalled })
	err := b.Put(t.Context(), "x", nil)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("put: %v", err)
	}

	b = server.Open(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	server.Proxy.Fail(func(*http.Request) s3test.Fault { cancel(); return s3test.Stalled })
	if _, err := b.Get(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
}

func TestEncryptionIsAskedFor(t *testing.T) {
	server := s3test.Start(t)
	for _, tc := range []struct{ encryption, key string }{{"", ""}, {"AES256", ""}, {"aws:kms", ""}, {"aws:kms", "alias/archive"}} {
		for _, size := range []int{1, 6 << 20} {
			o := server.Options("")
			o.Encryption, o.KMSKey, o.PartBytes = tc.encryption, tc.key, 5<<20
			b := server.OpenWith(t, o)
			// Whether this store can encrypt does not matter: what it is asked does.
			server.Proxy.Fail(func(*http.Request) s3test.Fault { return s3test.SlowDown })
			if err := b.Put(t.Context(), "x", make([]byte, size)); err == nil {
				t.Fatal("no error")
			}
			h := server.Proxy.Requests()[0].Header
			got := []string{h.Get("X-Amz-Server-Side-Encryption"), h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")}
			if !slices.Equal(got, []string{tc.encryption, tc.key}) {
				t.Errorf("%d bytes, %q: asked for %q", size, tc.encryption, got)
			}
		}
	}
}
