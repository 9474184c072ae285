package delivery

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"centrifuge"
)

// encode compresses a payload. An empty one stays as it is.
//
// The result cannot come from a pool: net/http may still be writing it after
// the attempt has its response.
func (c *Client) encode(payload []byte, encoding centrifuge.Encoding) ([]byte, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	switch encoding {
	case centrifuge.EncodingIdentity:
		return payload, nil
	case centrifuge.EncodingGzip:
		return c.gzip(payload)
	case centrifuge.EncodingZstd:
		return c.zstd.EncodeAll(payload, make([]byte, 0, len(payload)/2)), nil
	default:
		return nil, &FieldError{Field: "encoding", Reason: "is unknown"}
	}
}

func (c *Client) gzip(payload []byte) ([]byte, error) {
	w := c.gzips.Get().(*gzip.Writer)
	defer c.gzips.Put(w)
	out := bytes.NewBuffer(make([]byte, 0, len(payload)/2))
	w.Reset(out)
	if _, err := w.Write(payload); err != nil {
		return nil, fmt.Errorf("gzip the payload: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("gzip the payload: %w", err)
	}
	return out.Bytes(), nil
}

func newGzipWriter() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}

func newZstdEncoder() (*zstd.Encoder, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return e, nil
}
