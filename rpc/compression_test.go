package rpc

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func compress(t *testing.T, encoding string, content io.Reader) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		encoder, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = encoder
	default:
		t.Fatalf("no encoding %q", encoding)
	}
	if _, err := io.Copy(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestPlainHTTPBodiesMayBeCompressed(t *testing.T) {
	const jobs = 2000 // their answer is long enough to be worth compressing
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	request := `{"jobs": [` + strings.Repeat(`{"source": "s", "endpoint": "http://e.example/"},`, jobs-1) +
		`{"source": "s", "endpoint": "http://e.example/"}]}`
	for _, encoding := range []string{"gzip", "zstd"} {
		status, header, content := do(t, client(t), newRequest(t, "POST", "http://"+address+submitPath,
			compress(t, encoding, strings.NewReader(request)),
			"Content-Type", "application/json", "Content-Encoding", encoding, "Accept-Encoding", encoding))
		if status != http.StatusOK || header.Get("Content-Encoding") != encoding {
			t.Fatalf("%s: got status %d, encoding %q", encoding, status, header.Get("Content-Encoding"))
		}
		var reader io.Reader
		var err error
		if encoding == "gzip" {
			reader, err = gzip.NewReader(strings.NewReader(content))
		} else {
			reader, err = zstd.NewReader(strings.NewReader(content), zstd.WithDecoderConcurrency(1))
		}
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(plain), "jobIds") {
			t.Errorf("%s: answered %s", encoding, plain)
		}
		submissions := backend.submitted()
		if n := len(submissions[len(submissions)-1].Jobs); n != jobs {
			t.Errorf("%s: %d jobs arrived", encoding, n)
		}
	}
}

func TestUnknownAndBrokenEncodingsAreRefused(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	for encoding, want := range map[string]string{"br": "unimplemented", "gzip": "invalid_argument", "zstd": "invalid_argument"} {
		_, _, content := post(t, address, submitPath, `{"jobs": []}`, "Content-Encoding", encoding)
		if !strings.Contains(content, want) {
			t.Errorf("%s: answered %s, want %s", encoding, content, want)
		}
	}
	if n := len(backend.submitted()); n != 0 {
		t.Errorf("%d Submits went through", n)
	}
}

// zeros is an endless reader that counts what was taken from it.
type zeros struct{ taken int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.taken += int64(len(p))
	return len(p), nil
}

func TestDecompressionBombsAreRefused(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends(), MaxMessageBytes: maxMessage})
	for _, encoding := range []string{"gzip", "zstd"} {
		bomb := compress(t, encoding, io.LimitReader(&zeros{}, maxMessage+1))
		if bomb.Len() > maxMessage/100 {
			t.Fatalf("%s: the bomb has %d bytes", encoding, bomb.Len())
		}
		status, _, content := do(t, client(t), newRequest(t, "POST", "http://"+address+submitPath, bomb,
			"Content-Type", "application/proto", "Content-Encoding", encoding))
		if status != http.StatusBadRequest || !strings.Contains(content, fmt.Sprintf("larger than %d bytes", maxMessage)) {
			t.Errorf("%s: got status %d: %s", encoding, status, content)
		}
	}
	if n := len(backend.submitted()); n != 0 {
		t.Errorf("%d Submits went through", n)
	}
}

// endless is a decompressor whose source never ends.
type endless struct{ zeros }

func (*endless) Close() error          { return nil }
func (*endless) Reset(io.Reader) error { return nil }

func TestDecompressionStopsAtItsLimit(t *testing.T) {
	source := &endless{}
	reader := &limited{source: source, max: 1000}
	for range 2 { // the second time after a reset, as in Connect's pool
		source.taken = 0
		if err := reader.Reset(http.NoBody); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, io.MultiReader(io.LimitReader(reader, 1000), reader))
		if n != 1000 || connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("read %d bytes and %v, want 1000 and invalid_argument", n, err)
		}
		if source.taken > 100_000 {
			t.Errorf("%d bytes were decompressed", source.taken)
		}
	}
}
