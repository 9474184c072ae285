package rpc

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/fanout"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
	"centrifuge/schedule"
	"centrifuge/visibility"
	"centrifuge/visibility/alert"
)

var _ OwnBackend = (*Peer)(nil)

// Survey implements [fanout.Director].
func (p *Peer) Survey(ctx context.Context, q fanout.Question) (fanout.Survey, error) {
	resp, err := p.client.Survey(ctx, connect.NewRequest(&pb.SurveyRequest{
		Selector: newSelector(centrifuge.QueueKey(q.Selector)), After: newSelector(q.After),
		Queues: int64(q.Queues), Destinations: int64(q.Destinations), Ledgers: q.Ledgers, ExpiringWithin: duration(q.Within),
	}))
	if err != nil {
		return fanout.Survey{}, refused(err)
	}
	m := resp.Msg
	f := fields{index: -1}
	s := fanout.Survey{
		JobDBs: m.GetJobdbs(), MoreQueues: m.GetMoreQueues(), MoreDestinations: m.GetMoreDestinations(),
		Queues:       make([]schedule.QueueInfo, len(m.GetQueues())),
		Destinations: make([]schedule.DestinationInfo, len(m.GetDestinations())),
		Ledgers:      make([]director.QueueLedger, len(m.GetLedgers())),
		Oldest:       f.time("oldest", m.GetOldest()), Expiring: m.GetExpiring(),
	}
	for i, q := range m.GetQueues() {
		s.Queues[i] = schedule.QueueInfo{
			Queue: centrifuge.QueueKey{Source: q.GetSource(), Destination: q.GetDestination()},
			Ready: int(q.GetReady()), Waiting: int(q.GetWaiting()), Policy: f.policy("policy", q.GetPolicy()),
			Gate: readGate(q),
		}
	}
	for i, d := range m.GetDestinations() {
		s.Destinations[i] = schedule.DestinationInfo{
			Destination: d.GetDestination(), Queues: int(d.GetQueues()), Policy: f.policy("policy", d.GetPolicy()), Gate: readGate(d),
		}
	}
	for i, l := range m.GetLedgers() {
		s.Ledgers[i] = director.QueueLedger{
			Queue: centrifuge.QueueKey{Source: l.GetSource(), Destination: l.GetDestination()}, Ledger: readLedger(l.GetLedger()),
		}
	}
	if m.GetSaid() != nil {
		s.Said = f.policies([]*pb.MovedPolicy{m.GetSaid()})[0]
	}
	return s, f.err
}

// wireGate is what a queue and a destination have in common on the wire.
type wireGate interface {
	GetInFlight() int64
	GetLimit() int64
	GetBreaker() string
	GetHeldUntil() *timestamppb.Timestamp
}

func readGate(m wireGate) schedule.Gate {
	g := schedule.Gate{InFlight: int(m.GetInFlight()), Limit: int(m.GetLimit())}
	switch m.GetBreaker() {
	case schedule.Open.String():
		g.Breaker = schedule.Open
	case schedule.Probing.String():
		g.Breaker = schedule.Probing
	}
	if held := m.GetHeldUntil(); held != nil {
		g.HeldUntil = held.AsTime()
	}
	return g
}

func newSelector(key centrifuge.QueueKey) *pb.QueueSelector {
	return &pb.QueueSelector{Source: key.Source, Destination: key.Destination}
}

// Policies implements [fanout.Director].
func (p *Peer) Policies(ctx context.Context, known []byte) ([]jobdb.Policy, error) {
	resp, err := p.client.Policies(ctx, connect.NewRequest(&pb.PoliciesRequest{Known: known}))
	if err != nil {
		return nil, refused(err)
	}
	f := fields{index: -1}
	return f.policies(resp.Msg.GetPolicies()), f.err
}

// Learn implements [fanout.Director].
func (p *Peer) Learn(ctx context.Context, policies ...jobdb.Policy) ([]jobdb.Policy, error) {
	resp, err := p.client.Learn(ctx, connect.NewRequest(&pb.LearnRequest{Policies: newPolicies(policies)}))
	if err != nil {
		return nil, refused(err)
	}
	f := fields{index: -1}
	return f.policies(resp.Msg.GetLater()), f.err
}

// Order implements [fanout.Director].
func (p *Peer) Order(ctx context.Context, sel schedule.Selector, expire bool) (int, error) {
	resp, err := p.client.Order(ctx, connect.NewRequest(&pb.OrderRequest{Selector: newSelector(centrifuge.QueueKey(sel)), Expire: expire}))
	if err != nil {
		return 0, refused(err)
	}
	return int(resp.Msg.GetJobs()), nil
}

// SearchOwn implements [fanout.Director].
func (p *Peer) SearchOwn(
	ctx context.Context, filter director.JobFilter, cursor string, limit int, budget time.Duration,
) (director.SearchPage, error) {
	search := &pb.SearchRequest{
		Source: filter.Source, Destination: filter.Destination, Endpoint: filter.Endpoint,
		From: timestamp(filter.From), To: timestamp(filter.To), PageToken: cursor, PageSize: int32(limit),
		Code: string(filter.ErrorCode),
	}
	if filter.StatusCode != 0 {
		search.Code = strconv.Itoa(filter.StatusCode)
	}
	if filter.State != 0 {
		search.State = filter.State.String()
	}
	resp, err := p.client.Search(ctx, connect.NewRequest(&pb.DirectorServiceSearchRequest{
		Search: search, Among: filter.Among, Bound: filter.Among != nil, Budget: durationpb.New(max(budget, time.Millisecond)),
	}))
	if err != nil {
		return director.SearchPage{}, refused(err)
	}
	m := resp.Msg.GetPage()
	page := director.SearchPage{Next: m.GetNextPageToken(), Cut: m.GetCut(), Looked: int(m.GetLooked())}
	f := fields{index: -1}
	for _, j := range m.GetJobs() {
		page.Jobs = append(page.Jobs, f.found(j))
	}
	return page, f.err
}

func (f *fields) found(j *pb.FoundJob) director.Found {
	state, err := centrifuge.ParseState(j.GetState())
	if err != nil {
		f.fail("state", "is %q", clip(j.GetState()))
	}
	return director.Found{
		ID: f.id("id", j.GetId()), Queue: centrifuge.QueueKey{Source: j.GetSource(), Destination: j.GetDestination()},
		Endpoint: j.GetEndpoint(), State: state, Attempts: uint32(j.GetAttempts()),
		StatusCode: int(j.GetStatusCode()), ErrorCode: centrifuge.ErrorCode(j.GetErrorCode()),
		CreatedAt: f.time("created_at", j.GetCreatedAt()), ExpireAt: f.time("expire_at", j.GetExpireAt()),
		ChangedAt: f.time("changed_at", j.GetChangedAt()), RetryAt: f.time("retry_at", j.GetRetryAt()),
	}
}

// Watched implements [OwnBackend].
func (p *Peer) Watched(ctx context.Context, least int64) (alerts []alert.Alert, streaks []visibility.Streak, err error) {
	resp, err := p.client.Watch(ctx, connect.NewRequest(&pb.WatchRequest{Streaks: least}))
	if err != nil {
		return nil, nil, refused(err)
	}
	f := fields{index: -1}
	for _, a := range resp.Msg.GetAlerts() {
		alerts = append(alerts, alert.Alert{
			Rule: a.GetRule(), Severity: alert.Severity(a.GetSeverity()), Source: a.GetSource(), Destination: a.GetDestination(),
			Text: a.GetText(), Since: f.time("since", a.GetSince()), Ended: f.time("ended", a.GetEnded()),
		})
	}
	for _, s := range resp.Msg.GetStreaks() {
		streaks = append(streaks, visibility.Streak{
			Queue: centrifuge.QueueKey{Source: s.GetSource(), Destination: s.GetDestination()},
			Code:  int(s.GetCode()), Count: s.GetCount(), Since: f.time("since", s.GetSince()),
		})
	}
	return alerts, streaks, f.err
}

// refused tells what is the caller's fault from what keeps a Director from answering.
func refused(err error) error {
	if answered(err, connect.CodeInvalidArgument) {
		return fmt.Errorf("%w: %w", &director.InvalidError{Index: -1, Field: "request", Reason: "was refused"}, err)
	}
	return err
}
