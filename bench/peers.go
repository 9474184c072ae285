package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
)

// peers measures other job queues, each with its own database at its defaults of
// durability, and Centrifuge beside each run. bench/peers is a module of its own.
func peers(ctx context.Context, b *bench) error {
	target, err := b.startSink(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = target.stop() }()
	const n = 30_000
	for _, peer := range []string{"river", "asynq"} {
		var ours, theirs []float64
		for i := range b.runs {
			rate, err := b.peer(ctx, peer, target.url, n)
			if err != nil {
				return err
			}
			theirs = append(theirs, rate)
			rate, _, err = b.endToEnd(ctx, target.url, generator{size: 1024, batch: 200, parallel: 4, queues: 100}, b.jobs/2, fmt.Sprintf("beside-%s-%d", peer, i))
			if err != nil {
				return err
			}
			ours = append(ours, rate)
		}
		atLeast, aim := "", ""
		if peer == "river" {
			atLeast, aim = "3", "4"
		}
		b.report(peer+", 1 KB", "jobs/s", "", "", theirs...)
		b.report("against "+peer+", 1 KB", "times", atLeast, aim, ratios(ours, theirs)...)
	}
	return nil
}

func (b *bench) peer(ctx context.Context, peer, sinkURL string, n int) (float64, error) {
	cmd := exec.CommandContext(ctx, "go", "run", ".", "--peer", peer, "--sink", sinkURL+"/"+peer,
		"--jobs", strconv.Itoa(n), "--size", "1024", "--json")
	cmd.Dir = "bench/peers"
	cmd.Stderr = b.stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", peer, err)
	}
	var result struct {
		PerSecond float64 `json:"jobs_per_second"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return 0, fmt.Errorf("%s: read its result: %w", peer, err)
	}
	return result.PerSecond, nil
}
