package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"connectrpc.com/connect"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// startProfile profiles the Director while a run goes on, if that is asked for.
// What it returns ends the profile's collection and keeps an allocation profile
// and the metrics as well.
func (b *bench) startProfile(ctx context.Context, url, name string) func() error {
	if b.profile == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- fetch(ctx, url+"/debug/pprof/profile?seconds=5", filepath.Join(b.profile, name+".cpu.pprof"))
	}()
	return func() error {
		if err := <-done; err != nil {
			return err
		}
		if err := fetch(ctx, url+"/metrics", filepath.Join(b.profile, name+".metrics")); err != nil {
			return err
		}
		return fetch(ctx, url+"/debug/pprof/allocs", filepath.Join(b.profile, name+".allocs.pprof"))
	}
}

func fetch(ctx context.Context, url, file string) error {
	resp, err := get(ctx, url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func ledgerOf(ctx context.Context, c *client.Client) (*pb.Ledger, error) {
	resp, err := c.Ledger.Get(ctx, connect.NewRequest(&pb.LedgerServiceGetRequest{}))
	if err != nil {
		return nil, err
	}
	return resp.Msg.GetTotal(), nil
}
