package fanout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/schedule"
)

// Own is the Director of this process, as it answers for itself.
type Own struct{ *director.Director }

var _ Director = Own{}

// Survey implements [Director].
func (o Own) Survey(_ context.Context, q Question) (s Survey, err error) {
	if _, err := o.Ledgers(); err != nil { // it has none that it could speak for
		return s, err
	}
	s.JobDBs = o.Held()
	if q.Queues > 0 {
		if s.Queues, s.MoreQueues, err = o.Queues(q.Selector, q.After, q.Queues); err != nil {
			return s, err
		}
	}
	if q.Destinations > 0 {
		if s.Destinations, s.MoreDestinations, err = o.Destinations(q.After.Destination, q.Destinations); err != nil {
			return s, err
		}
		if name := q.Selector.Destination; name != "" {
			s.Destinations = slices.DeleteFunc(s.Destinations, func(d schedule.DestinationInfo) bool { return d.Destination != name })
		}
	}
	if q.Ledgers {
		if s.Ledgers, err = o.LedgerByQueue(q.Selector); err != nil {
			return s, err
		}
	}
	if q.Selector != (schedule.Selector{}) {
		if s.Said, err = o.Said(centrifuge.QueueKey(q.Selector)); err != nil {
			return s, err
		}
	}
	if q.Within > 0 {
		if s.Oldest, err = o.Oldest(); err != nil {
			return s, err
		}
		s.Expiring, err = o.Expiring(q.Within)
	}
	return s, err
}

// Policies implements [Director].
func (o Own) Policies(_ context.Context, known []byte) ([]jobdb.Policy, error) {
	policies, err := o.Director.Policies()
	if err != nil || bytes.Equal(known, digest(policies)) {
		return nil, err
	}
	return policies, nil
}

// Order implements [Director].
func (o Own) Order(ctx context.Context, sel schedule.Selector, expire bool) (int, error) {
	if expire {
		return o.Expire(ctx, sel)
	}
	return o.Retry(ctx, sel)
}

// digest is the same for the same policies, in their order.
func digest(policies []jobdb.Policy) []byte {
	text, _ := json.Marshal(policies) // the Director has refused the numbers that JSON does not have
	sum := sha256.Sum256(text)
	return sum[:]
}
