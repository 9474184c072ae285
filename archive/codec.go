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

// lineReader decompresses lines. It is kept for the next object, as making one
// costs more than reading an index.
type lineReader struct {
	zstd *zstd.Decoder
	in   *bufio.Reader
	long []byte // a line that is longer than in's buffer
}

// lineReader returns a reader of data; releaseLineReader takes it back.
func (a *Archive) lineReader(data []byte) (*lineReader, error) {
	r, ok := a.readers.Get().(*lineReader)
	if !ok {
		// With a concurrency of 1 a decoder has no goroutine and needs no Close.
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8*maxWindow))
		if err != nil {
			return nil, fmt.Errorf("make a zstd decoder: %w", err)
		}
		r = &lineReader{zstd: dec, in: bufio.NewReaderSize(dec, 64<<10)}
	}
	if err := r.zstd.Reset(bytes.NewReader(data)); err != nil {
		return nil, err
	}
	r.in.Reset(r.zstd)
	return r, nil
}

func (a *Archive) releaseLineReader(r *lineReader) {
	r.long = nil
	if r.zstd.Reset(nil) == nil { // which lets go of the data
		a.readers.Put(r)
	}
}

// next returns the next line without its end, valid until the next call, or
// [io.EOF] if the last one was whole.
func (r *lineReader) next() ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		switch {
		case err == nil && len(r.long) == 0:
			return part[:len(part)-1], nil
		case errors.Is(err, io.EOF) && len(r.long)+len(part) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		if r.long = append(r.long, part...); len(r.long) > maxLine {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		if err == nil {
			return r.long[:len(r.long)-1], nil
		}
	}
}

// lines yields the lines of a compressed object, without their ends. A line is
// valid until the next one. An object that is cut short, or has no line, ends
// with an error.
func (a *Archive) lines(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r, err := a.lineReader(data)
		if err != nil {
			yield(nil, err)
			return
		}
		defer a.releaseLineReader(r)
		for count := 0; ; count++ {
			line, err := r.next()
			if errors.Is(err, io.EOF) && count > 0 {
				return
			}
			if errors.Is(err, io.EOF) {
				err = errors.New("empty")
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}
