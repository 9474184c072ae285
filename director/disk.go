package director

import (
	"context"
	"time"
)

// watchDisk closes the intake while the disk is nearly full, and opens it again.
// Deliveries go on: their transitions are small, and the room is kept for them.
func (t *tenure) watchDisk(ctx context.Context) {
	if t.o.FreeDisk == nil || t.o.MinFreeDisk == 0 {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		free, err := t.o.FreeDisk()
		low := err == nil && free < t.o.MinFreeDisk
		if was := t.intake.diskLow.Swap(low); was != low {
			t.o.Logger.Warn("the disk's free space crossed its bound", "intake_open", !low, "free_bytes", free, "bound_bytes", t.o.MinFreeDisk)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
