package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	pb "centrifuge/gen/centrifuge/v1"
)

// maxLine bounds a line of NDJSON: the largest job, in base64, and then some.
const maxLine = 4 << 20

// batch is what one Submit carries.
type batch struct {
	number int // from 1
	jobs   []*pb.JobSpec
	lines  []int // of each job, from 1
	read   int64 // bytes of input
}

// transactionID is the same whenever the same jobs are read from the same place
// under the same prefix: submitting them again enqueues nothing. Jobs that have
// changed since get another, so that they are not mistaken for what they were.
func (b *batch) transactionID(prefix string) (string, error) {
	content := sha256.New()
	for _, job := range b.jobs {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(job)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(content, "%d\n", len(text))
		content.Write(text)
	}
	return fmt.Sprintf("%s-%06d-%s", prefix, b.number, hex.EncodeToString(content.Sum(nil)[:8])), nil
}

// where names the lines of the batch.
func (b *batch) where() string {
	return fmt.Sprintf("lines %d to %d", b.lines[0], b.lines[len(b.lines)-1])
}

// batches cuts NDJSON into batches of a bounded number of jobs and bytes.
type batches struct {
	lines    *bufio.Scanner
	maxJobs  int
	maxBytes int

	line    int // last read, from 1
	number  int
	pending *pb.JobSpec // read, and did not fit into the last batch
	size    int         // of pending
	raw     int64       // bytes of input that pending stood in
}

func newBatches(r io.Reader, maxJobs, maxBytes int) *batches {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return &batches{lines: lines, maxJobs: maxJobs, maxBytes: maxBytes}
}

// next returns the next batch, or io.EOF.
func (s *batches) next() (*batch, error) {
	s.number++
	b := &batch{number: s.number}
	size := 0
	for len(b.jobs) < s.maxJobs {
		if s.pending == nil {
			err := s.read()
			if errors.Is(err, io.EOF) && len(b.jobs) > 0 {
				break
			}
			if err != nil {
				return nil, err
			}
		}
		if size += s.size; size > s.maxBytes && len(b.jobs) > 0 {
			break
		}
		b.jobs, b.lines, b.read = append(b.jobs, s.pending), append(b.lines, s.line), b.read+s.raw
		s.pending = nil
	}
	return b, nil
}

// read reads the next job, over lines that are empty.
func (s *batches) read() error {
	s.raw = 0
	for s.lines.Scan() {
		s.line++
		s.raw += int64(len(s.lines.Bytes())) + 1
		line := bytes.TrimSpace(s.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		job, err := parseJob(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", s.line, err)
		}
		s.pending, s.size = job, proto.Size(job)
		return nil
	}
	if err := s.lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", s.line+1, err)
	}
	return io.EOF
}
