package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"centrifuge/archive/s3"
	"centrifuge/archive/s3/s3test"
)

func openParts(t *testing.T, server *s3test.Server) *s3.Bucket {
	t.Helper()
	o := server.Options("parts")
	o.PartBytes = 5 << 20
	b := server.OpenWith(t, o)
	return b
}

// large is an object of three parts.
func large(seed byte) []byte {
	data := make([]byte, 11<<20)
	random := rand.NewChaCha8([32]byte{seed})
	_, _ = random.Read(data)
	return data
}

// uploads counts those in parts that are not finished.
func uploads(t *testing.T, server *s3test.Server) int {
	t.Helper()
	c, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithBaseEndpoint(server.Proxy.URL()))
	if err != nil {
		t.Fatal(err)
	}
	client := awss3.NewFromConfig(c, func(o *awss3.Options) { o.UsePathStyle = true })
	bucket := s3test.BucketName
	out, err := client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

func TestParts(t *testing.T) {
	server := s3test.Start(t)
	b := openParts(t, server)
	for _, data := range [][]byte{large(1), large(1), large(2), []byte("small"), large(1)} {
		if err := b.Put(t.Context(), "x", data); err != nil {
			t.Fatal(err)
		}
		got, err := b.Get(t.Context(), "x")
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("get: %d bytes unlike the %d that were put: %v", len(got), len(data), err)
		}
	}
	if n := uploads(t, server); n != 0 {
		t.Errorf("%d uploads were left unfinished", n)
	}
}

// steps of an upload in parts, by what their requests look like.
func isBegin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}
func isPart(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" }
func isFinish(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func TestPartsFaults(t *testing.T) {
	server := s3test.Start(t)
	b := openParts(t, server)
	for _, step := range []struct {
		name  string
		is    func(*http.Request) bool
		fault s3test.Fault
		done  bool // the object is there although a request failed
		left  int  // uploads that nobody can know the id of
	}{
		{"begin-lost", isBegin, s3test.Lost, false, 0},
		{"begin-kept", isBegin, s3test.Kept, false, 3},
		{"part-lost", isPart, s3test.Lost, false, 0},
		{"part-kept", isPart, s3test.Kept, false, 0},
		{"part-slow", isPart, s3test.SlowDown, false, 0},
		{"finish-lost", isFinish, s3test.Lost, false, 0},
		{"finish-kept", isFinish, s3test.Kept, true, 0},
	} {
		before := uploads(t, server)
		server.Proxy.Fail(func(r *http.Request) s3test.Fault {
			if step.is(r) {
				return step.fault
			}
			return s3test.None
		})
		data := large(3)
		if err := b.Put(t.Context(), step.name, data); err == nil {
			t.Errorf("%s: no error", step.name)
		}
		server.Proxy.Fail(nil)
		if left := uploads(t, server) - before; left != step.left {
			t.Errorf("%s: %d uploads were left unfinished, want %d", step.name, left, step.left)
		}
		if _, err := b.Get(t.Context(), step.name); errors.Is(err, fs.ErrNotExist) == step.done {
			t.Errorf("%s: get: %v", step.name, err)
		}
		if err := b.Put(t.Context(), step.name, data); err != nil {
			t.Errorf("%s: put again: %v", step.name, err)
		}
		if got, err := b.Get(t.Context(), step.name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: get: %d bytes unlike the %d that were put: %v", step.name, len(got), len(data), err)
		}
	}
}

// One lost answer to the last request is no error: the object is found there,
// whether the store refuses the repetition for the object or for the upload.
func TestPartsLastAnswerLostOnce(t *testing.T) {
	server := s3test.Start(t)
	b := openParts(t, server)
	for name, repetition := range map[string]s3test.Fault{"object": s3test.None, "upload": s3test.NoSuchUpload} {
		finishes := 0
		server.Proxy.Fail(func(r *http.Request) s3test.Fault {
			if !isFinish(r) {
				return s3test.None
			}
			if finishes++; finishes == 1 {
				return s3test.Kept
			}
			return repetition
		})
		if err := b.Put(t.Context(), name, large(4)); err != nil || finishes != 2 {
			t.Errorf("%s: put: %v after %d requests to finish", name, err, finishes)
		}
	}
}

// What a caller that gave up began is still cleared away.
func TestPartsCancelled(t *testing.T) {
	server := s3test.Start(t)
	b := openParts(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	server.Proxy.Fail(func(r *http.Request) s3test.Fault {
		if isPart(r) {
			cancel()
			return s3test.Stalled
		}
		return s3test.None
	})
	if err := b.Put(ctx, "x", large(5)); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if n := uploads(t, server); n != 0 {
		t.Errorf("%d uploads were left unfinished", n)
	}
}
