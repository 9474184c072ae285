package rpc

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"centrifuge/delivery"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// content counts what an encoded Submit holds, since an empty job, of two bytes or
// three, takes a hundred times that once it is decoded. Content that is malformed is
// counted up to where it is, and the decoder says what is wrong with it.
type content struct {
	jobs  int
	parts int // headers, and objects that jobs hold in JSON
}

// maxParts is what the jobs of one Submit may hold together.
const maxParts = director.MaxJobs * (delivery.MaxHeaders + 1)

func (c *content) check() error {
	switch {
	case c.jobs > director.MaxJobs:
		return fmt.Errorf("jobs: more than %d are given; at most as many are accepted", director.MaxJobs)
	case c.parts > maxParts:
		return fmt.Errorf("jobs: they have more than %d headers in all", director.MaxJobs*delivery.MaxHeaders)
	}
	return nil
}

// checkContent refuses a message of which decoding would make more than may be
// accepted. count reads it.
func checkContent(encoded []byte, m proto.Message, count func([]byte) content) error {
	if _, ok := m.(*pb.SubmitRequest); !ok {
		return nil
	}
	c := count(encoded)
	return c.check()
}

// The numbers of the fields that repeat.
const (
	fieldJobs    = 2 // of SubmitRequest
	fieldHeaders = 6 // of JobSpec
)

// countProto counts a Submit in protobuf's binary encoding.
func countProto(encoded []byte) (c content) {
	eachBytes(encoded, fieldJobs, func(job []byte) bool {
		c.jobs++
		eachBytes(job, fieldHeaders, func([]byte) bool {
			c.parts++
			return true
		})
		return c.check() == nil
	})
	return c
}

// eachBytes calls f with the values of a field until that returns false.
func eachBytes(message []byte, field protowire.Number, f func([]byte) bool) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return
		}
		if number == field && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			if !f(value) {
				return
			}
		}
		message = message[size:]
	}
}

// countJSON counts a Submit in JSON: the objects in the lists of the outermost one
// are jobs, and those further in are parts of them.
func countJSON(encoded []byte) (c content) {
	const inList = 2
	depth := 0
	for i := 0; i < len(encoded); i++ {
		switch encoded[i] {
		case '"':
			for i++; i < len(encoded) && encoded[i] != '"'; i++ {
				if encoded[i] == '\\' {
					i++
				}
			}
		case '{':
			switch {
			case depth == inList:
				c.jobs++
			case depth > inList:
				c.parts++
			}
			depth++
		case '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return c
}
