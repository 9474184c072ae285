package rpc

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"centrifuge/delivery"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

func TestCountsAreThoseOfTheMessage(t *testing.T) {
	for _, m := range []*pb.SubmitRequest{
		{},
		{TransactionId: `{"jobs":[{}]}`, Jobs: []*pb.JobSpec{{}, {}}},
		{Jobs: []*pb.JobSpec{
			{Source: `\"{`, Headers: []*pb.Header{{}, {Name: `[{"\\`}}, Payload: []byte{0x12, 0x00}, Retry: &pb.RetryPolicy{MaxAttempts: 3}},
			{Headers: []*pb.Header{{Name: "a", Value: "{}"}}},
		}},
	} {
		want := content{jobs: len(m.GetJobs())}
		objects := 0
		for _, job := range m.GetJobs() {
			want.parts += len(job.GetHeaders())
			if job.GetRetry() != nil {
				objects++
			}
		}
		binary, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := countProto(binary); got != want {
			t.Errorf("in protobuf: %+v, want %+v", got, want)
		}
		text, err := protojson.MarshalOptions{Multiline: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want.parts += objects
		if got := countJSON(text); got != want {
			t.Errorf("in JSON: %+v, want %+v: %s", got, want, text)
		}
	}
}

// A request within its bound of bytes may hold millions of empty jobs, or headers.
// They are refused before they are decoded.
func TestTooMuchIsRefusedBeforeItIsDecoded(t *testing.T) {
	backend := &fake{}
	address := serve(t, Options{Backends: backend.backends()})
	const many = 1 << 20
	headers := append([]byte{0x12, 0x80, 0x80, 0x80, 0x01}, bytes.Repeat([]byte{0x32, 0x00}, many)...) // one job of 2 MiB
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"jobs":            {"application/proto", strings.Repeat("\x12\x00", many), "more than 5000"},
		"headers":         {"application/proto", string(headers), "headers in all"},
		"jobs in JSON":    {"application/json", `{"jobs":[{}` + strings.Repeat(",{}", many) + `]}`, "more than 5000"},
		"headers in JSON": {"application/json", `{"jobs":[{"headers":[{}` + strings.Repeat(",{}", many) + `]}]}`, "headers in all"},
	} {
		for encoding, body := range map[string]string{"identity": tt.body, "gzip": gzipped(t, tt.body), "zstd": zstded(t, tt.body)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			status, _, answer := do(t, client(t), newRequest(t, "POST", "http://"+address+submitPath, strings.NewReader(body),
				"Content-Type", tt.contentType, "Content-Encoding", encoding))
			runtime.ReadMemStats(&after)
			if status != http.StatusBadRequest || !strings.Contains(answer, "invalid_argument") || !strings.Contains(answer, tt.want) {
				t.Errorf("%s, %s: status %d: %s", name, encoding, status, answer)
			}
			if made := after.Mallocs - before.Mallocs; made > many/10 {
				t.Errorf("%s, %s: %d objects were made of it", name, encoding, made)
			}
		}
	}
	if n := len(backend.submitted()); n != 0 {
		t.Errorf("%d Submits went through", n)
	}
}

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, body)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t *testing.T, body string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(body), nil))
}

func TestAsMuchAsIsAllowedIsDecoded(t *testing.T) {
	m := &pb.SubmitRequest{Jobs: make([]*pb.JobSpec, director.MaxJobs)}
	for i := range m.GetJobs() {
		m.Jobs[i] = &pb.JobSpec{Headers: make([]*pb.Header, delivery.MaxHeaders), Retry: &pb.RetryPolicy{}}
		for k := range m.GetJobs()[i].GetHeaders() {
			m.Jobs[i].Headers[k] = &pb.Header{}
		}
	}
	binary, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := (countedProto{}).Unmarshal(binary, &pb.SubmitRequest{}); err != nil {
		t.Error(err)
	}
	if err := (strictJSON{}).Unmarshal(text, &pb.SubmitRequest{}); err != nil {
		t.Error(err)
	}
}

func FuzzCount(f *testing.F) {
	f.Add([]byte(`{"jobs":[{"headers":[{}]},{}]}`))
	f.Add([]byte("\x12\x04\x32\x00\x32\x00"))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var m pb.SubmitRequest
		c := countProto(encoded)
		if proto.Unmarshal(encoded, &m) == nil && len(m.GetJobs()) != c.jobs {
			t.Errorf("%d jobs counted in protobuf, %d decoded", c.jobs, len(m.GetJobs()))
		}
		c = countJSON(encoded)
		if protojson.Unmarshal(encoded, &m) == nil && len(m.GetJobs()) != c.jobs {
			t.Errorf("%d jobs counted in JSON, %d decoded", c.jobs, len(m.GetJobs()))
		}
	})
}
