package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
)

// tooLarge is the error of a request beyond the limit. It is not Connect's
// resource_exhausted, which tells clients to come back with the same.
func tooLarge(limit int64) error {
	return connect.NewError(connect.CodeInvalidArgument,
		fmt.Errorf("the request is larger than %d bytes; send it in parts", limit))
}

// body ends a request's body that is larger than it may be.
type body struct {
	io.ReadCloser
	max int64
}

// limitBody limits a request's body to maxBytes. One that announces more is
// refused at its first byte.
func limitBody(w http.ResponseWriter, r *http.Request, maxBytes int64) io.ReadCloser {
	limit := maxBytes
	if r.ContentLength > maxBytes {
		limit = 0
	}
	return &body{ReadCloser: http.MaxBytesReader(w, r.Body, limit), max: maxBytes}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if tooMany := new(http.MaxBytesError); errors.As(err, &tooMany) {
		return n, tooLarge(b.max)
	}
	return n, err
}

// longCall is the deadline of the calls that work through a whole JobDB or a
// page of the archive at a given rate.
const longCall = 15 * time.Minute

// limit gives each call its deadline and bounds its body. The answer has
// WriteTimeout beyond the deadline to reach the caller.
func limit(o *Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeout := o.CallTimeout
		switch r.URL.Path {
		case centrifugev1connect.ArchiveServiceReplayProcedure, centrifugev1connect.LedgerServiceGetProcedure:
			timeout = max(longCall, o.CallTimeout)
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + o.WriteTimeout)); err != nil {
			http.Error(w, "this connection cannot be given a deadline", http.StatusInternalServerError)
			return
		}
		r = r.WithContext(ctx)
		r.Body = limitBody(w, r, o.MaxMessageBytes)
		next.ServeHTTP(w, r)
	})
}
