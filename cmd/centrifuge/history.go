package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"centrifuge"
	"centrifuge/visibility"
	"centrifuge/visibility/mysql"
	"centrifuge/visibility/sqlite"
)

// history is what is recorded of deliveries. Without it jobs are
// delivered all the same, so what goes wrong with it is logged and ends nothing.
type history struct {
	store    *visibility.Store
	recorder *visibility.Recorder
	stop     context.CancelFunc
	ended    chan error
}

// historyOptions say where deliveries are recorded: on the MySQL server of the URL, as
// the writer, or in the data folder if there is no URL.
type historyOptions struct {
	url       string
	dataDir   string
	writer    string
	retention time.Duration
}

// noHistory in the place of a URL says that nothing is to be recorded.
const noHistory = "none"

// openHistory opens the record and begins to add to it; nil if there is to be none, or
// it cannot be opened.
func openHistory(ctx context.Context, o *historyOptions, logger *slog.Logger) *history {
	if o.url == noHistory {
		return nil
	}
	h, err := newHistory(ctx, o, logger)
	if err != nil {
		logger.ErrorContext(ctx, "deliveries are not recorded", "err", err)
		return nil
	}
	return h
}

// place is where the record is opened. A server may be away for a while.
func (o *historyOptions) place(dir string) (s visibility.StoreOptions, err error) {
	if o.url == "" {
		s.Backend, err = sqlite.Open(dir)
		return s, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // the notes of the process
		return s, fmt.Errorf("record deliveries: %w", err)
	}
	options, err := mysql.ParseURL(o.url)
	if err != nil {
		return s, fmt.Errorf("--history: %w", err)
	}
	options.Writer = o.writer
	backend, err := mysql.New(options)
	if err != nil {
		return s, err
	}
	s.Backend, s.Others, s.Late = backend, backend, true
	return s, nil
}

func newHistory(ctx context.Context, o *historyOptions, logger *slog.Logger) (_ *history, err error) {
	dir := filepath.Join(o.dataDir, "history")
	place, err := o.place(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, place.Backend.Close())
		}
	}()
	place.Retention, place.Logger = o.retention, logger
	h := &history{ended: make(chan error, 1)}
	if h.store, err = visibility.OpenStore(ctx, place); err != nil {
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
