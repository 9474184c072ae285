package rpc

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON is protobuf's JSON that refuses fields and names of enumerations
// that it does not know, where Connect's own codec skips them: people write this
// JSON by hand, and a job whose misspelt payload was skipped would be delivered
// without one. Clients that may be newer than the server use protobuf, in which
// unknown fields do no harm. Answers have all their fields, so that a script
// reads 0 and false as such.
type strictJSON struct{ name string }

// codecs replaces Connect's codecs, one for each content type.
func codecs() connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCodec(countedProto{}),
		connect.WithCodec(strictJSON{"json"}),
		connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	)
}

func (c strictJSON) Name() string { return c.name }

func (strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
}

func (strictJSON) Unmarshal(content []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	if len(content) == 0 {
		return errors.New("the body is empty; the least is {}")
	}
	if err := checkContent(content, m, countJSON); err != nil {
		return err
	}
	return protojson.Unmarshal(content, m)
}

// countedProto is protobuf's binary encoding, of which no more is decoded than may
// be accepted.
type countedProto struct{}

func (countedProto) Name() string { return "proto" }

func (c countedProto) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend lets Connect reuse its buffers.
func (countedProto) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

func (countedProto) Unmarshal(content []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	if err := checkContent(content, m, countProto); err != nil {
		return err
	}
	return proto.Unmarshal(content, m)
}
