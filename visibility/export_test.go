package visibility

import "context"

// Tidy seals and retains without waiting for a tick.
func (r *Recorder) Tidy(ctx context.Context) error { return r.tidy(ctx) }
