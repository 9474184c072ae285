package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// stopWithin is how long Serve, told to stop, waits for the replies under way.
const stopWithin = time.Second

// Serve answers the connections of l until ctx ends. It then closes l, drops the
// requests that wait for their reply or hang, gives the others a second to
// finish, and returns nil. Any other end of l is an error.
func (s *Sink) Serve(ctx context.Context, l net.Listener) error {
	requests, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("sink: serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	release() // those that hang or drip do so no longer
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		// Only the grace period's end is expected here, and Close is the answer
		// to any error.
		if err := server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("sink: close %s: %w", l.Addr(), err)
		}
	}
	<-served
	return nil
}
