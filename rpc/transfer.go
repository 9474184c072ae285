package rpc

import (
	"centrifuge"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb"
)

// newTransfer writes a transfer for the wire.
func newTransfer(tr *director.Transfer) *pb.AcceptRequest {
	m := &pb.AcceptRequest{From: tr.From, To: tr.To}
	for i := range tr.Jobs {
		job := &pb.MovedJob{Job: newJob(&tr.Jobs[i].Job)}
		for j := range tr.Jobs[i].Transitions {
			job.Transitions = append(job.Transitions, newTransition(&tr.Jobs[i].Transitions[j]))
		}
		m.Jobs = append(m.Jobs, job)
	}
	m.Policies = newPolicies(tr.Policies)
	for i := range tr.Transactions {
		t := &tr.Transactions[i]
		m.Transactions = append(m.Transactions, &pb.MovedTransaction{
			Id: t.ID, State: movedStates[t.State], JobIds: idStrings(t.JobIDs),
			Time: timestamp(t.CreatedAt), Deadline: timestamp(t.Deadline), Drafts: t.Drafts,
		})
	}
	return m
}

func newPolicies(policies []jobdb.Policy) []*pb.MovedPolicy {
	m := make([]*pb.MovedPolicy, len(policies))
	for i := range policies {
		m[i] = newPolicy(&policies[i])
	}
	return m
}

func newPolicy(p *jobdb.Policy) *pb.MovedPolicy {
	return &pb.MovedPolicy{
		Source: text(p.Scope.Source), Destination: text(p.Scope.Destination),
		Policy: newQueuePolicy(&p.Policy), Time: timestamp(p.Time),
	}
}

// movedStates are the states of transactions on the wire. One that was moved is
// never brought on.
var movedStates = [...]pb.TransactionState{
	jobdb.TransactionCommitted: pb.TransactionState_TRANSACTION_STATE_COMMITTED,
	jobdb.TransactionPrepared:  pb.TransactionState_TRANSACTION_STATE_PREPARED,
	jobdb.TransactionAborted:   pb.TransactionState_TRANSACTION_STATE_ABORTED,
	jobdb.TransactionMoved:     pb.TransactionState_TRANSACTION_STATE_UNSPECIFIED,
}

// readTransfer reads a transfer. Whether a job's history is one is for the Director
// to judge.
func readTransfer(m *pb.AcceptRequest) (director.Transfer, error) {
	tr := director.Transfer{From: m.GetFrom(), To: m.GetTo()}
	for i, moved := range m.GetJobs() {
		f := fields{index: i}
		trace := f.trace(moved)
		if f.err != nil {
			return director.Transfer{}, f.err
		}
		tr.Jobs = append(tr.Jobs, trace)
	}
	f := fields{index: -1}
	tr.Policies = f.policies(m.GetPolicies())
	for _, t := range m.GetTransactions() {
		tr.Transactions = append(tr.Transactions, f.transaction(t))
	}
	return tr, f.err
}

func (f *fields) policies(m []*pb.MovedPolicy) (policies []jobdb.Policy) {
	for _, p := range m {
		policies = append(policies, jobdb.Policy{
			Scope:  centrifuge.QueueKey{Source: p.GetSource(), Destination: p.GetDestination()},
			Policy: f.policy("policies.policy", p.GetPolicy()),
			Time:   f.time("policies.time", p.GetTime()),
		})
	}
	return policies
}

func (f *fields) trace(m *pb.MovedJob) jobdb.Trace {
	j := m.GetJob()
	trace := jobdb.Trace{Job: centrifuge.Job{
		ID:          f.id("id", j.GetId()),
		Source:      j.GetSource(),
		Destination: j.GetDestination(),
		Endpoint:    j.GetEndpoint(),
		Method:      j.GetMethod(),
		Headers:     headers(j.GetHeaders()),
		Payload:     j.GetPayload(),
		Settings: centrifuge.Settings{
			Timeout:  f.duration("timeout", j.GetTimeout()),
			Encoding: f.encoding("encoding", j.GetEncoding()),
			Retry:    f.retry("retry", j.GetRetry()),
		},
		CreatedAt: f.time("created_at", j.GetCreatedAt()),
		ExpireAt:  f.time("expire_at", j.GetExpireAt()),
		ReplayOf:  f.id("replay_of", j.GetReplayOf()),
	}}
	if trace.Job.ID.IsZero() {
		f.fail("id", "required")
	}
	if j.GetCreatedAt() == nil || j.GetExpireAt() == nil {
		f.fail("expire_at", "and created_at are required")
	}
	for _, t := range m.GetTransitions() {
		trace.Transitions = append(trace.Transitions, f.transition(trace.Job.ID, t))
	}
	return trace
}

func (f *fields) transition(job centrifuge.ID, t *pb.Transition) centrifuge.Transition {
	if t.GetTime() == nil || t.GetState() < 0 || t.GetState() > pb.JobState_JOB_STATE_MOVED {
		f.fail("transitions", "hold one without a time, or in state %d", t.GetState())
	}
	if d := t.GetDuration(); d != nil && (!d.IsValid() || d.AsDuration() < 0) {
		f.fail("transitions", "hold one that took %s", d.AsDuration())
	}
	return centrifuge.Transition{
		JobID:      job,
		State:      centrifuge.State(t.GetState()),
		Time:       f.time("transitions.time", t.GetTime()),
		Attempt:    t.GetAttempt(),
		RetryAt:    f.time("transitions.retry_at", t.GetRetryAt()),
		StatusCode: int(t.GetStatusCode()),
		ErrorCode:  centrifuge.ErrorCode(t.GetErrorCode()),
		Error:      t.GetError(),
		Duration:   t.GetDuration().AsDuration(),
	}
}

func (f *fields) transaction(m *pb.MovedTransaction) jobdb.Transaction {
	t := jobdb.Transaction{
		ID: m.GetId(), CreatedAt: f.time("transactions.time", m.GetTime()),
		Deadline: f.time("transactions.deadline", m.GetDeadline()), Drafts: m.GetDrafts(),
	}
	switch m.GetState() {
	case pb.TransactionState_TRANSACTION_STATE_COMMITTED:
		t.State = jobdb.TransactionCommitted
	case pb.TransactionState_TRANSACTION_STATE_PREPARED:
		t.State = jobdb.TransactionPrepared
	case pb.TransactionState_TRANSACTION_STATE_ABORTED:
		t.State = jobdb.TransactionAborted
	default:
		f.fail("transactions.state", "is %d, which no transaction is in that is moved", m.GetState())
	}
	for _, id := range m.GetJobIds() {
		t.JobIDs = append(t.JobIDs, f.id("transactions.job_ids", id))
	}
	if m.GetTime() == nil || m.GetId() == "" {
		f.fail("transactions", "hold one without an id or a time")
	}
	return t
}
