package rpc

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// BenchmarkSubmit is what the server adds to a Submit of 100 jobs of 1 KB, from
// the request's header to the answer, without the network.
func BenchmarkSubmit(b *testing.B) {
	request := &pb.SubmitRequest{TransactionId: "t"}
	for range 100 {
		request.Jobs = append(request.Jobs, &pb.JobSpec{
			Source: "shop", Destination: "crm", Endpoint: "http://crm.example/hook", Payload: bytes.Repeat([]byte("payload "), 128),
			Headers: []*pb.Header{{Name: "Content-Type", Value: "application/json"}},
		})
	}
	binary, err := proto.Marshal(request)
	if err != nil {
		b.Fatal(err)
	}
	text, err := protojson.Marshal(request)
	if err != nil {
		b.Fatal(err)
	}
	backend := &fake{submit: func(_ context.Context, s director.Submission) (director.Receipt, error) {
		return director.Receipt{TransactionID: s.TransactionID}, nil
	}}
	server, err := NewServer(Options{
		Backends: backend.backends(), Ready: func() error { return nil }, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	for kind, content := range map[string][]byte{"proto": binary, "json": text} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), "POST", "http://localhost"+submitPath, bytes.NewReader(content))
				r.Header.Set("Content-Type", "application/"+kind)
				w := &answer{ResponseRecorder: httptest.NewRecorder()}
				server.Handler().ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					content, _ := io.ReadAll(w.Body)
					b.Fatalf("got status %d: %s", w.Code, content)
				}
				backend.mu.jobs = nil
			}
		})
	}
}

// answer is a recorder that takes a deadline, as a connection does.
type answer struct{ *httptest.ResponseRecorder }

func (*answer) SetWriteDeadline(time.Time) error { return nil }
