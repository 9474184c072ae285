package schedule

import "centrifuge"

// item is one job as the scheduler knows it: 32 bytes without a pointer, so that
// ten million of them are nothing to the garbage collector.
type item struct {
	id     centrifuge.ID
	queue  uint32 // index in Scheduler.queues
	due    uint32 // tick at which it becomes ready, or is taken out as expired
	expire uint32 // tick at which its time has run out
}

// expiring reports whether the item is not to be tried any more at the tick. It
// is so for the whole tick before its expiry, which is itself rounded up: a job
// may miss its last 50 ms, but is never sent late.
func (it *item) expiring(tick uint32) bool { return it.expire <= tick || it.expire-1 == tick }
