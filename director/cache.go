package director

import "centrifuge"

// cached is a job that can be attempted without reading it back.
type cached struct {
	job  *centrifuge.Job
	life centrifuge.Life
}

// cache keeps the payloads of unfinished jobs up to a number of bytes. What does
// not fit is simply not kept: the JobDB has it. So there is nothing to evict, and
// the jobs that came first, which are due first, stay.
type cache struct {
	max, used int64
	jobs      map[centrifuge.ID]cached
}

func newCache(maxBytes int64) cache {
	return cache{max: maxBytes, jobs: make(map[centrifuge.ID]cached)}
}

// put keeps the job if that leaves the cache filled to at most share of its
// bound. Jobs that are due at once get all of it, those that wait for a retry
// half, so that an outage's backlog does not push out the living traffic.
func (c *cache) put(job *centrifuge.Job, life centrifuge.Life, share float64) {
	size := int64(job.Size())
	if float64(c.used+size) > share*float64(c.max) {
		return
	}
	c.used += size
	c.jobs[job.ID] = cached{job, life}
}

// take removes a job and returns it.
func (c *cache) take(id centrifuge.ID) (cached, bool) {
	e, ok := c.jobs[id]
	if ok {
		delete(c.jobs, id)
		c.used -= int64(e.job.Size())
	}
	return e, ok
}
