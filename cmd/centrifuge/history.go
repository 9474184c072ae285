package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"centrifuge"
	"centrifuge/visibility"
	"centrifuge/visibility/sqlite"
)

// history is what is recorded of deliveries in the data folder. Without it jobs are
// delivered all the same, so what goes wrong with it is logged and ends nothing.
type history struct {
	store    *visibility.Store
	recorder *visibility.Recorder
	stop     context.CancelFunc
	ended    chan error
}

// openHistory opens the record and begins to add to it; nil if it cannot be opened.
func openHistory(ctx context.Context, dataDir string, retention time.Duration, logger *slog.Logger) *history {
	h, err := newHistory(ctx, filepath.Join(dataDir, "history"), retention, logger)
	if err != nil {
		logger.ErrorContext(ctx, "deliveries are not recorded", "err", err)
		return nil
	}
	return h
}

func newHistory(ctx context.Context, dir string, retention time.Duration, logger *slog.Logger) (_ *history, err error) {
	backend, err := sqlite.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, backend.Close())
		}
	}()
	h := &history{ended: make(chan error, 1)}
	if h.store, err = visibility.OpenStore(ctx, visibility.StoreOptions{Backend: backend, Retention: retention, Logger: logger}); err != nil {
		return nil, err
	}
	h.recorder, err = visibility.NewRecorder(ctx, visibility.RecorderOptions{
		Store: h.store, Alive: filepath.Join(dir, "alive"), Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	// It ends when close says so, after the last transition, and not with ctx.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	go func() { h.ended <- h.recorder.Run(running) }()
	return h, nil
}

// observer is told of what the Director makes durable; nil if nothing is recorded.
func (h *history) observer() func([]centrifuge.Event) {
	if h == nil {
		return nil
	}
	return h.recorder.Record
}

// close stores what was counted last. It comes after the Director's end.
func (h *history) close() error {
	if h == nil {
		return nil
	}
	h.stop()
	return errors.Join(<-h.ended, h.store.Close())
}
