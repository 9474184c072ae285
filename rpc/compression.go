package rpc

import (
	"fmt"
	"io"

	"connectrpc.com/connect"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// minCompressed is the size from which answers are worth compressing, in bytes. The
// answer to a Submit of hundreds of jobs is below it: ids compress badly.
const minCompressed = 32 << 10

// compressions are the encodings of requests and answers, gzip and zstd. What a
// request decompresses to is limited to maxBytes.
func compressions(maxBytes int64) connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCompressMinBytes(minCompressed),
		connect.WithCompression("zstd",
			func() connect.Decompressor { return &limited{source: new(zstdReader), max: maxBytes} },
			newZstdWriter,
		),
		// Preferred by clients that take both, since it is registered last: it is
		// what every client can do, and answers are small.
		connect.WithCompression("gzip",
			func() connect.Decompressor { return &limited{source: new(gzip.Reader), max: maxBytes} },
			func() connect.Compressor { return gzip.NewWriter(io.Discard) },
		),
	)
}

// limited ends a decompression that yields too much at once, where Connect's
// own limit would decompress the rest in order to tell its size.
type limited struct {
	source connect.Decompressor
	max    int64
	left   int64
}

func (l *limited) Reset(r io.Reader) error {
	l.left = l.max
	return l.source.Reset(r)
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.source.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, tooLarge(l.max)
	}
	return n, err
}

func (l *limited) Close() error { return l.source.Close() }

// zstdReader is a zstd.Decoder that can be reset after it was closed, as
// Connect's pool does. Its decoder runs in the caller's goroutine, so that one
// the pool lets go of leaves nothing behind.
type zstdReader struct{ decoder *zstd.Decoder }

func (z *zstdReader) Reset(r io.Reader) error {
	if z.decoder != nil {
		return z.decoder.Reset(r)
	}
	decoder, err := zstd.NewReader(r,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20), // what RFC 8878 asks decoders to support
	)
	z.decoder = decoder
	return err
}

func (z *zstdReader) Read(p []byte) (int, error) { return z.decoder.Read(p) }

func (z *zstdReader) Close() error { return nil }

func newZstdWriter() connect.Compressor {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(fmt.Sprintf("make a zstd encoder: %v", err)) // constant options: cannot fail
	}
	return encoder
}
