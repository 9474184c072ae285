package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/encoding/protojson"

	pb "centrifuge/gen/centrifuge/v1"
)

// jobFlags are one job, in flags.
type jobFlags struct {
	spec     pb.JobSpec
	headers  []string
	payload  string
	ttl      time.Duration
	timeout  time.Duration
	encoding string
	retry    retryFlags
}

func (j *jobFlags) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("job", pflag.ContinueOnError)
	fs.StringVar(&j.spec.Id, "id", "", "the job's id, a KSUID (default made by the server)")
	fs.StringVar(&j.spec.Source, "source", "", "who sends")
	fs.StringVar(&j.spec.Destination, "destination", "", "whom it is for (default the endpoint's host)")
	fs.StringVar(&j.spec.Endpoint, "endpoint", "", "the `URL`")
	fs.StringVar(&j.spec.Method, "method", "", "the HTTP method (default POST)")
	fs.StringArrayVar(&j.headers, "header", nil, "a header, `'Name: value'`; may be repeated")
	fs.StringVarP(&j.payload, "payload", "d", "", "the body: a `STRING`, @FILE, or - for the standard input")
	fs.DurationVar(&j.ttl, "ttl", 0, "archive the job if it is not delivered in this time (default 4h)")
	fs.DurationVar(&j.timeout, "attempt-timeout", 0, "how long one attempt may take (default 10s)")
	fs.StringVar(&j.encoding, "encoding", "", "compress the body on its way: gzip or zstd")
	j.retry.addTo(fs)
	return fs
}

// job reads the flags.
func (j *jobFlags) job(stdin io.Reader) (*pb.JobSpec, error) {
	spec := &j.spec
	for _, line := range j.headers {
		h, err := parseHeader(line)
		if err != nil {
			return nil, err
		}
		spec.Headers = append(spec.Headers, h)
	}
	switch j.encoding {
	case "":
	case "gzip":
		spec.Encoding = pb.Encoding_ENCODING_GZIP
	case "zstd":
		spec.Encoding = pb.Encoding_ENCODING_ZSTD
	default:
		return nil, usagef("--encoding %s: want gzip or zstd", j.encoding)
	}
	spec.Ttl, spec.Timeout, spec.Retry = optional(j.ttl), optional(j.timeout), j.retry.policy()
	var err error
	spec.Payload, err = readPayload(j.payload, stdin)
	return spec, err
}

// parseHeader reads a header line. Whether its name and value are allowed is for
// the server to say.
func parseHeader(line string) (*pb.Header, error) {
	name, value, ok := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return nil, usagef("--header %q: want 'Name: value'", line)
	}
	return &pb.Header{Name: name, Value: strings.TrimSpace(value)}, nil
}

func readPayload(arg string, stdin io.Reader) ([]byte, error) {
	name, isFile := strings.CutPrefix(arg, "@")
	var payload []byte
	var err error
	switch {
	case arg == "-":
		payload, err = io.ReadAll(io.LimitReader(stdin, maxLine))
	case isFile:
		payload, err = os.ReadFile(name)
	default:
		return []byte(arg), nil
	}
	if err != nil {
		return nil, fmt.Errorf("--payload: %w", err)
	}
	return payload, nil
}

// payloadJSON is the one key that a line may have beside those of the wire.
const payloadJSON = "payloadJson"

// parseJob reads a JobSpec in the JSON of the wire. A payload that is JSON itself
// may stand in payloadJson as it is, instead of in base64 in payload.
func parseJob(line []byte) (*pb.JobSpec, error) {
	spec := new(pb.JobSpec)
	if !bytes.Contains(line, []byte(payloadJSON)) {
		return spec, protojson.Unmarshal(line, spec)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return nil, err
	}
	payload, ok := members[payloadJSON]
	if ok && members["payload"] != nil {
		return nil, fmt.Errorf("give payload or %s, not both", payloadJSON)
	}
	delete(members, payloadJSON)
	rest, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(rest, spec); err != nil {
		return nil, err
	}
	if ok {
		spec.Payload = payload
	}
	return spec, nil
}
