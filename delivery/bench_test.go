package delivery

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"centrifuge"
)

// BenchmarkDeliver is one attempt against an endpoint in the same process, with
// as many connections as the benchmark has goroutines; BenchmarkBareClient is
// the same request made with nothing but http.Client.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{1 << 10, 5 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			c := local(b)
			job := benchmarkJob(serve(b, discardBody), size)
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if r := c.Deliver(b.Context(), job, 1); r.Outcome != centrifuge.OutcomeSucceeded {
						b.Error(r)
					}
				}
			})
		})
	}
}

func BenchmarkBareClient(b *testing.B) {
	for _, size := range []int{1 << 10, 5 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.MaxIdleConnsPerHost = 256
			client := &http.Client{Transport: transport, Timeout: centrifuge.DefaultTimeout}
			b.Cleanup(client.CloseIdleConnections)
			job := benchmarkJob(serve(b, discardBody), size)
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bareAttempt(b, client, job); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func benchmarkJob(endpoint string, size int) *centrifuge.Job {
	return &centrifuge.Job{
		ID:       centrifuge.ID{1},
		Endpoint: endpoint + "/hook?source=benchmark",
		Method:   http.MethodPost,
		Headers:  []centrifuge.Header{{Name: "Content-Type", Value: "application/json"}},
		Payload:  bytes.Repeat([]byte("x"), size),
	}
}

func bareAttempt(b *testing.B, client *http.Client, job *centrifuge.Job) error {
	req, err := http.NewRequestWithContext(b.Context(), job.Method, job.Endpoint, bytes.NewReader(job.Payload))
	if err != nil {
		return err
	}
	for _, h := range job.Headers {
		req.Header.Add(h.Name, h.Value)
	}
	req.Header.Set("Centrifuge-Job-Id", job.ID.String())
	req.Header.Set("Centrifuge-Attempt", "1")
	req.Header.Set("Idempotency-Key", job.ID.String())
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	return resp.Body.Close()
}

func discardBody(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
