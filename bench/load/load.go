// Package load measures how many requests a second this machine can post to a
// sink with nothing in between: the raw limit that everything which stores a job
// before it delivers it is compared with.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Post sends one body and returns once it was answered 2xx; any other end is an
// error. It must be safe for concurrent use.
type Post func(ctx context.Context, body []byte) error

// Result is what a run measured.
type Result struct {
	Requests int
	Elapsed  time.Duration
}

// PerSecond is the rate of the run in requests a second.
func (r Result) PerSecond() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Raw posts n bodies of size bytes to url over conns connections with net/http,
// as fast as they are answered.
func Raw(ctx context.Context, url string, size, n, conns int) (Result, error) {
	client := NewClient(url, conns)
	defer client.Close()
	return Run(ctx, client.Post, size, n, conns)
}

// Run calls post n times with a body of size bytes, conns calls at once. It stops
// at the first error and returns it.
func Run(ctx context.Context, post Post, size, n, conns int) (Result, error) {
	body := Body(size)
	var taken atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for range conns {
		group.Go(func() error {
			for taken.Add(1) <= int64(n) {
				if err := post(ctx, body); err != nil {
					return fmt.Errorf("raw load: %w", err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	return Result{Requests: n, Elapsed: time.Since(start)}, nil
}

// Body is size bytes of text, the same in every run. It is random, so that no
// store gains by compressing it, and plain ASCII, so that none loses by escaping
// it in JSON.
func Body(size int) []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // filler
	body := make([]byte, size)
	for i := range body {
		body[i] = letters[rng.IntN(len(letters))]
	}
	return body
}
