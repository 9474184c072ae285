package rpc

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// maxMessage is the limit of messages in these tests.
const maxMessage = 1 << 20

func TestLargeBodiesAreRefused(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends(), MaxMessageBytes: maxMessage})
	for name, send := range map[string]func(*http.Request){
		"announced": func(r *http.Request) { r.ContentLength = maxMessage + 1 },
		"chunked":   func(r *http.Request) { r.ContentLength = -1 },
	} {
		source := &zeros{}
		req := newRequest(t, "POST", "http://"+address+submitPath, io.LimitReader(source, maxMessage+1),
			"Content-Type", "application/json")
		send(req)
		resp, err := client(t).Do(req)
		if err != nil {
			continue // hung up while we were still sending, which is as good
		}
		content, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			continue
		}
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(content), fmt.Sprintf("larger than %d bytes", maxMessage)) {
			t.Errorf("%s: got status %d: %s", name, resp.StatusCode, content)
		}
	}
	if n := len(backend.submitted()); n != 0 {
		t.Errorf("%d Submits went through", n)
	}
}

func TestLargeGRPCMessageIsRefused(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends(), MaxMessageBytes: maxMessage})
	jobs := centrifugev1connect.NewJobServiceClient(h2c(t), "http://"+address, connect.WithGRPC())
	_, err := jobs.Submit(t.Context(), connect.NewRequest(&pb.SubmitRequest{
		Jobs: []*pb.JobSpec{{Payload: make([]byte, maxMessage)}},
	}))
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("got %v, want invalid_argument", err)
	}
	if n := len(backend.submitted()); n != 0 {
		t.Errorf("%d Submits went through", n)
	}
}

// What the contract allows passes even in JSON, where it grows by a third.
func TestLargestSubmitPasses(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	job := `{"source": "s", "endpoint": "http://e.example/", "payload": "` +
		base64.StdEncoding.EncodeToString(make([]byte, director.MaxPayload)) + `"}`
	const jobs = director.MaxSubmitBytes / director.MaxPayload
	status, _, content := post(t, address, submitPath, `{"jobs": [`+strings.Repeat(job+",", jobs-1)+job+`]}`)
	if status != http.StatusOK || len(backend.submitted()[0].Jobs) != jobs {
		t.Errorf("got status %d: %s", status, content)
	}
}

func TestCallsHaveADeadline(t *testing.T) {
	backend := &fake{submit: func(ctx context.Context, _ director.Submission) (director.Receipt, error) {
		<-ctx.Done()
		return director.Receipt{}, fmt.Errorf("wait for the commit: %w", ctx.Err())
	}}
	address := serve(t, Options{Backends: backend.backends(), CallTimeout: 10 * time.Millisecond})
	status, _, content := post(t, address, submitPath, `{}`)
	if status != http.StatusGatewayTimeout || !strings.Contains(content, "deadline_exceeded") {
		t.Errorf("got status %d: %s", status, content)
	}
	// The caller's own is heeded where it is shorter.
	address = serve(t, Options{Backends: backend.backends(), CallTimeout: time.Hour})
	status, _, content = post(t, address, submitPath, `{}`, "Connect-Timeout-Ms", "10")
	if status != http.StatusGatewayTimeout || !strings.Contains(content, "deadline_exceeded") {
		t.Errorf("got status %d: %s", status, content)
	}
}
