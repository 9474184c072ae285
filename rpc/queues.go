package rpc

import (
	"context"
	"encoding/base64"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/schedule"
)

// queueService serves centrifuge.v1.QueueService.
type queueService struct{ backend QueueBackend }

func (s *queueService) List(
	ctx context.Context, req *connect.Request[pb.QueueServiceListRequest],
) (*connect.Response[pb.QueueServiceListResponse], error) {
	f := fields{index: -1}
	limit := f.pageSize(req.Msg.GetPageSize(), 100)
	after, err := parseQueueToken(req.Msg.GetPageToken())
	if err != nil {
		f.fail("page_token", "%v", err)
	}
	if f.err != nil {
		return nil, f.err
	}
	sel := selector(req.Msg.GetSelector())
	if sel.Source, err = access.From(ctx).Narrow(sel.Source); err != nil {
		return nil, err
	}
	now, err := s.backend.Survey(ctx, fanout.Question{Selector: sel, After: after, Queues: limit})
	if err != nil {
		return nil, err
	}
	page := &pb.QueueServiceListResponse{Queues: newQueues(now.Queues), Missing: newMissing(now.Missing)}
	for i := range now.Holders {
		page.Queues[0].Holders = append(page.Queues[0].Holders, newHolder(&now.Holders[i]))
	}
	if n := len(now.Queues); now.MoreQueues && n > 0 {
		page.NextPageToken = queueToken(now.Queues[n-1].Queue)
	}
	return connect.NewResponse(page), nil
}

func (s *queueService) ListDestinations(
	ctx context.Context, req *connect.Request[pb.ListDestinationsRequest],
) (*connect.Response[pb.ListDestinationsResponse], error) {
	f := fields{index: -1}
	limit := f.pageSize(req.Msg.GetPageSize(), 100)
	after, err := parseQueueToken(req.Msg.GetPageToken())
	if err != nil {
		f.fail("page_token", "%v", err)
	}
	if f.err != nil {
		return nil, f.err
	}
	now, err := s.backend.Survey(ctx, fanout.Question{After: centrifuge.QueueKey{Destination: after.Destination}, Destinations: limit})
	if err != nil {
		return nil, err
	}
	page := &pb.ListDestinationsResponse{Destinations: newDestinations(now.Destinations), Missing: newMissing(now.Missing)}
	if n := len(now.Destinations); now.MoreDestinations && n > 0 {
		page.NextPageToken = queueToken(centrifuge.QueueKey{Destination: now.Destinations[n-1].Destination})
	}
	return connect.NewResponse(page), nil
}

func (s *queueService) GetPolicy(
	ctx context.Context, req *connect.Request[pb.GetPolicyRequest],
) (*connect.Response[pb.GetPolicyResponse], error) {
	key := scope(req.Msg.GetSelector())
	var err error
	if key.Source, err = access.From(ctx).Narrow(key.Source); err != nil {
		return nil, err
	}
	policy, reach, err := s.backend.Policy(ctx, key)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.GetPolicyResponse{Policy: newQueuePolicy(&policy), Missing: newMissing(reach.Missing)}), nil
}

func (s *queueService) SetPolicy(
	ctx context.Context, req *connect.Request[pb.SetPolicyRequest],
) (*connect.Response[pb.SetPolicyResponse], error) {
	f := fields{index: -1}
	policy := f.policy("policy", req.Msg.GetPolicy())
	if f.err != nil {
		return nil, f.err
	}
	reach, err := s.backend.SetPolicy(ctx, scope(req.Msg.GetSelector()), policy)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.SetPolicyResponse{
		Directors: int32(reach.Directors), Missing: newMissing(reach.Missing),
	}), nil
}

func (s *queueService) Retry(
	ctx context.Context, req *connect.Request[pb.RetryRequest],
) (*connect.Response[pb.RetryResponse], error) {
	jobs, reach, err := s.backend.Retry(ctx, selector(req.Msg.GetSelector()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.RetryResponse{
		Jobs: int64(jobs), Directors: int32(reach.Directors), Missing: newMissing(reach.Missing),
	}), nil
}

func (s *queueService) Expire(
	ctx context.Context, req *connect.Request[pb.ExpireRequest],
) (*connect.Response[pb.ExpireResponse], error) {
	jobs, reach, err := s.backend.Expire(ctx, selector(req.Msg.GetSelector()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.ExpireResponse{
		Jobs: int64(jobs), Directors: int32(reach.Directors), Missing: newMissing(reach.Missing),
	}), nil
}

func selector(s *pb.QueueSelector) schedule.Selector {
	return schedule.Selector{Source: s.GetSource(), Destination: s.GetDestination()}
}

func scope(s *pb.QueueSelector) centrifuge.QueueKey {
	return centrifuge.QueueKey{Source: s.GetSource(), Destination: s.GetDestination()}
}

// policy reads a queue policy; absent is the zero policy. The name of its own
// field is put before theirs.
func (f *fields) policy(field string, p *pb.QueuePolicy) centrifuge.QueuePolicy {
	statuses := make([]int, len(p.GetRetryStatuses()))
	for i, code := range p.GetRetryStatuses() {
		statuses[i] = int(code)
	}
	return centrifuge.QueuePolicy{
		Paused:        p.GetPaused(),
		Rate:          p.GetRate(),
		Burst:         int(p.GetBurst()),
		Weight:        p.GetWeight(),
		Concurrency:   int(p.GetConcurrency()),
		RetryStatuses: statuses,
		Retry:         f.retry(field+".retry", p.GetRetry()),
	}
}

func newQueuePolicy(p *centrifuge.QueuePolicy) *pb.QueuePolicy {
	statuses := make([]int32, len(p.RetryStatuses))
	for i, code := range p.RetryStatuses {
		statuses[i] = int32(code)
	}
	return &pb.QueuePolicy{
		Paused:        p.Paused,
		Rate:          p.Rate,
		Burst:         int32(p.Burst),
		Weight:        p.Weight,
		Concurrency:   int32(p.Concurrency),
		RetryStatuses: statuses,
		Retry:         newRetryPolicy(p.Retry),
	}
}

// queueToken names the last queue of a page, so that the next begins after it
// whatever queues have come and gone since.
func queueToken(last centrifuge.QueueKey) string {
	named, err := proto.Marshal(&pb.QueueSelector{Source: text(last.Source), Destination: text(last.Destination)})
	if err != nil {
		return "" // two strings of UTF-8 always marshal
	}
	return base64.RawURLEncoding.EncodeToString(named)
}

func parseQueueToken(token string) (centrifuge.QueueKey, error) {
	var last pb.QueueSelector
	named, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = proto.Unmarshal(named, &last)
	}
	if err != nil {
		return centrifuge.QueueKey{}, errors.New("is not one that a listing gave")
	}
	return centrifuge.QueueKey{Source: last.GetSource(), Destination: last.GetDestination()}, nil
}

func newQueues(infos []schedule.QueueInfo) []*pb.Queue {
	queues := make([]*pb.Queue, len(infos))
	for i := range infos {
		queues[i] = newQueue(&infos[i])
	}
	return queues
}

func newQueue(q *schedule.QueueInfo) *pb.Queue {
	return &pb.Queue{
		Source:      text(q.Queue.Source),
		Destination: text(q.Queue.Destination),
		Ready:       int64(q.Ready),
		Waiting:     int64(q.Waiting),
		InFlight:    int64(q.InFlight),
		Limit:       int64(q.Limit),
		Breaker:     q.Breaker.String(),
		HeldUntil:   timestamp(q.HeldUntil),
		Policy:      newQueuePolicy(&q.Policy),
	}
}

func newHolder(h *fanout.Holder) *pb.Holder {
	return &pb.Holder{
		Director:  text(h.Name),
		Ready:     int64(h.Ready),
		Waiting:   int64(h.Waiting),
		InFlight:  int64(h.InFlight),
		Limit:     int64(h.Limit),
		Breaker:   h.Breaker.String(),
		HeldUntil: timestamp(h.HeldUntil),
	}
}

func newDestinations(infos []schedule.DestinationInfo) []*pb.Destination {
	destinations := make([]*pb.Destination, len(infos))
	for i := range infos {
		d := &infos[i]
		destinations[i] = &pb.Destination{
			Destination: text(d.Destination),
			Queues:      int64(d.Queues),
			InFlight:    int64(d.InFlight),
			Limit:       int64(d.Limit),
			Breaker:     d.Breaker.String(),
			HeldUntil:   timestamp(d.HeldUntil),
			Policy:      newQueuePolicy(&d.Policy),
		}
	}
	return destinations
}

func newMissing(missing []fanout.Missing) []*pb.Missing {
	m := make([]*pb.Missing, len(missing))
	for i := range missing {
		m[i] = &pb.Missing{Director: text(missing[i].Director), Jobdb: text(missing[i].JobDB), Reason: text(missing[i].Why)}
	}
	return m
}
