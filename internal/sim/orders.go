package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"centrifuge"
	"centrifuge/director"
)

// order is a Submit as a client means it. Each try of it makes drafts anew.
type order struct {
	transaction string
	drafts      []draft
	invalid     bool // one of the jobs is not acceptable
	open        bool // a try had an outcome that nobody knows
}

// draft is a job as a client means it.
type draft struct {
	tag string // the first line of its payload: what it is known by whatever its id
	job centrifuge.Job
	ttl time.Duration // 0 leaves it to the Director
}

// tagOf is the tag of the job with that payload.
func tagOf(payload []byte) string {
	tag, _, _ := bytes.Cut(payload, []byte("\n"))
	return string(tag)
}

// newOrder draws an order.
func (c *client) newOrder() order {
	r, p := c.dice, &c.run.plan
	c.orders++
	name := fmt.Sprintf("client-%d-order-%d", c.number, c.orders)
	o := order{}
	if happens(r, 0.7) {
		o.transaction = name
	}
	source := oneOf(r, p.sources...)
	n := 1
	if happens(r, 0.3) {
		n = 1 + r.IntN(25)
	}
	for i := range n {
		o.drafts = append(o.drafts, c.newDraft(r, fmt.Sprintf("%s-job-%d", name, i), source))
	}
	if happens(r, 0.03) {
		o.invalid = true
		o.drafts[r.IntN(n)].job.Endpoint = "ftp://" + p.hosts[0]
	}
	return o
}

func (c *client) newDraft(r *rand.Rand, tag, source string) draft {
	p := &c.run.plan
	host := oneOf(r, p.hosts...)
	d := draft{tag: tag, ttl: oneOf(r, 0, 4*time.Hour, between(r, time.Second, time.Minute), between(r, time.Minute, time.Hour))}
	d.job = centrifuge.Job{
		Source:   source,
		Endpoint: "http://" + host + "/" + tag,
		Headers:  []centrifuge.Header{{Name: "X-Tag", Value: tag}},
		Payload:  []byte(tag + "\n" + strings.Repeat("x", r.IntN(oneOf(r, 2, 200, 3000)))),
		Settings: centrifuge.Settings{Timeout: oneOf(r, 0, 0, time.Second, 30*time.Second)},
	}
	if happens(r, 0.2) {
		d.job.Method = "PUT"
	}
	if happens(r, 0.4) {
		d.job.Settings.Retry = centrifuge.RetryPolicy{
			MinBackoff:  oneOf(r, 0, time.Millisecond, time.Second),
			MaxBackoff:  oneOf(r, 0, 2*time.Second, time.Minute),
			MaxAttempts: uint32(oneOf(r, 0, 1, 2, 5)),
		}
	}
	if happens(r, 0.2) {
		d.job.ID = c.newID(r)
	}
	return d
}

// newID makes up an id as a client would, or takes one that it has used before.
func (c *client) newID(r *rand.Rand) centrifuge.ID {
	if len(c.given) > 0 && happens(r, 0.1) {
		return oneOf(r, c.given...)
	}
	id, err := c.ids.Next(c.run.clock.now())
	if err != nil {
		c.run.witness.breaks("the simulation failed: %v", err)
	}
	c.given = append(c.given, id)
	return id
}

// submission is the order's next try.
func (o *order) submission(now time.Time) director.Submission {
	s := director.Submission{TransactionID: o.transaction}
	for i := range o.drafts {
		job := clone(&o.drafts[i].job)
		if ttl := o.drafts[i].ttl; ttl > 0 {
			job.ExpireAt = now.Add(ttl)
		}
		s.Jobs = append(s.Jobs, &job)
	}
	return s
}

func (o *order) tags() []string {
	tags := make([]string, len(o.drafts))
	for i := range o.drafts {
		tags[i] = o.drafts[i].tag
	}
	return tags
}
