package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar for somebody who looks at it, and nothing otherwise. The nil
// progress is the latter.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress draws on w if it is a terminal; a total of -1 is unknown.
func newProgress(w io.Writer, total int64, what string) *progress {
	if !isTerminal(w) {
		return nil
	}
	return &progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

func (p *progress) add(n int64) {
	if p != nil {
		_ = p.bar.Add64(n) // a bar that cannot be drawn is no reason to stop
	}
}

func (p *progress) done() {
	if p != nil {
		_ = p.bar.Finish()
	}
}
