package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"
)

// maxLine bounds what a reader of a damaged or hostile object may be made to
// hold. A job's payload is a hundredth of it.
const maxLine = 128 << 20

// A frame's window bounds what its reader holds; a longer one pays little for
// lines that are much alike.
const maxWindow = 1 << 20

// lineWriter compresses lines of JSON into one zstd frame with a checksum.
type lineWriter struct {
	buf  bytes.Buffer
	zstd *zstd.Encoder
	json *json.Encoder
	line bytes.Buffer
}

func newLineWriter() (*lineWriter, error) {
	w := &lineWriter{}
	enc, err := zstd.NewWriter(&w.buf,
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	w.zstd = enc
	w.json = json.NewEncoder(&w.line)
	w.json.SetEscapeHTML(false)
	return w, nil
}

func (w *lineWriter) write(v any) error {
	w.line.Reset()
	if err := w.json.Encode(v); err != nil {
		return err
	}
	if w.line.Len() > maxLine {
		return fmt.Errorf("a line of %d bytes is longer than %d", w.line.Len(), maxLine)
	}
	_, err := w.zstd.Write(w.line.Bytes())
	return err
}

func (w *lineWriter) finish() ([]byte, error) {
	if err := w.zstd.Close(); err != nil {
		return nil, err
	}
	return w.buf.Bytes(), nil
}

// lines yields the lines of a compressed object, without their ends. A line is
// valid until the next one. An object that is cut short, or has no line, ends
// with an error.
func (a *Archive) lines(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		dec, err := a.decoder(data)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() {
			if dec.Reset(nil) == nil { // which lets go of data
				a.decoders.Put(dec)
			}
		}()
		count := 0
		in := bufio.NewReaderSize(dec, 64<<10)
		var long []byte
		for {
			line, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) || err == nil && len(long) > 0 {
				long = append(long, line...)
				if len(long) > maxLine {
					yield(nil, fmt.Errorf("line %d is longer than %d bytes", count+1, maxLine))
					return
				}
				if err != nil {
					continue
				}
				line = long
			}
			switch {
			case errors.Is(err, io.EOF) && len(line)+len(long) == 0 && count > 0:
				return
			case errors.Is(err, io.EOF):
				yield(nil, io.ErrUnexpectedEOF)
				return
			case err != nil:
				yield(nil, err)
				return
			}
			count++
			if !yield(line[:len(line)-1], nil) {
				return
			}
			long = long[:0]
		}
	}
}

func (a *Archive) decoder(data []byte) (*zstd.Decoder, error) {
	if dec, ok := a.decoders.Get().(*zstd.Decoder); ok {
		return dec, dec.Reset(bytes.NewReader(data))
	}
	// With a concurrency of 1 a decoder has no goroutine and needs no Close.
	return zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
}
