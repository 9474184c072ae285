package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/segmentio/ksuid"
)

// Client posts bodies to one URL with net/http, each under a job id of its own.
// It is safe for concurrent use.
type Client struct {
	url  string
	http http.Client
}

// NewClient makes a client that keeps up to conns connections open.
func NewClient(url string, conns int) *Client {
	return &Client{url: url, http: http.Client{Transport: &http.Transport{
		MaxIdleConns:        conns,
		MaxIdleConnsPerHost: conns,
		MaxConnsPerHost:     conns,
		DisableCompression:  true,
	}}}
}

// Post is a [Post].
func (c *Client) Post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	id := ksuid.New().String()
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Centrifuge-Job-Id", id)
	req.Header.Set("Centrifuge-Attempt", "1")
	req.Header.Set("Idempotency-Key", id)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// The connection is reused only if the body was read to its end.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
