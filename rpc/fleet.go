package rpc

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/manager"
)

// fleetService serves centrifuge.v1.FleetService.
type fleetService struct{ backend FleetBackend }

func (s *fleetService) Get(
	ctx context.Context, _ *connect.Request[pb.FleetServiceGetRequest],
) (*connect.Response[pb.FleetServiceGetResponse], error) {
	fleet, err := s.backend.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	answer := &pb.FleetServiceGetResponse{MaxBytes: fleet.MaxBytes, MaxAge: durationpb.New(fleet.MaxAge)}
	for _, d := range fleet.Directors {
		answer.Directors = append(answer.Directors, &pb.Director{
			Name: text(d.Name), Address: text(d.Address), Jobdb: text(d.JobDB), Error: reason(d.Err),
		})
	}
	for i := range fleet.JobDBs {
		answer.Jobdbs = append(answer.Jobdbs, newJobDB(&fleet.JobDBs[i]))
	}
	for _, server := range fleet.Servers {
		answer.Servers = append(answer.Servers, &pb.JobDBServer{Name: text(server.Name), Error: reason(server.Err)})
	}
	return connect.NewResponse(answer), nil
}

func (s *fleetService) Cycle(
	ctx context.Context, req *connect.Request[pb.FleetServiceCycleRequest],
) (*connect.Response[pb.FleetServiceCycleResponse], error) {
	before, now, err := s.backend.Cycle(ctx, req.Msg.GetDirector())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.FleetServiceCycleResponse{Before: before, Now: now}), nil
}

func (s *fleetService) Drain(
	ctx context.Context, req *connect.Request[pb.FleetServiceDrainRequest],
) (*connect.Response[pb.FleetServiceDrainResponse], error) {
	state, err := s.backend.Drain(ctx, req.Msg.GetJobdb())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.FleetServiceDrainResponse{State: newJobDBState(state)}), nil
}

func (s *fleetService) Ledger(
	ctx context.Context, _ *connect.Request[pb.FleetServiceLedgerRequest],
) (*connect.Response[pb.FleetServiceLedgerResponse], error) {
	books, err := s.backend.Books(ctx)
	if err != nil {
		return nil, err
	}
	total := director.Ledger(books.Total)
	return connect.NewResponse(&pb.FleetServiceLedgerResponse{
		Total: newLedger(&total), Balanced: books.Balanced(), Uncounted: books.Uncounted,
	}), nil
}

func newJobDB(j *manager.JobDB) *pb.JobDB {
	m := &pb.JobDB{
		Name: text(j.Name), Server: text(j.Server), State: newJobDBState(j.State), Owner: text(j.Owner), Target: text(j.Target),
		Since: timestamp(j.Since[j.State]), Bytes: j.Bytes, Error: reason(j.Err), Moving: j.Running, DropAt: timestamp(j.DropAt),
	}
	if j.Counted {
		ledger := director.Ledger(j.Ledger)
		m.Ledger = newLedger(&ledger)
	}
	return m
}

func newJobDBState(s manager.State) pb.JobDBState {
	switch s {
	case manager.StateNew:
		return pb.JobDBState_JOB_DB_STATE_NEW
	case manager.StateSpare:
		return pb.JobDBState_JOB_DB_STATE_SPARE
	case manager.StateLive:
		return pb.JobDBState_JOB_DB_STATE_LIVE
	case manager.StateReleased:
		return pb.JobDBState_JOB_DB_STATE_RELEASED
	case manager.StateDraining:
		return pb.JobDBState_JOB_DB_STATE_DRAINING
	case manager.StateDrained:
		return pb.JobDBState_JOB_DB_STATE_DRAINED
	case manager.StateDropped:
		return pb.JobDBState_JOB_DB_STATE_DROPPED
	}
	return pb.JobDBState_JOB_DB_STATE_UNSPECIFIED
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return text(err.Error())
}

// guardedFleet writes what is done to the fleet to the audit log.
type guardedFleet struct {
	FleetBackend
	log *audit.Log
}

func (g *guardedFleet) Cycle(ctx context.Context, name string) (before, now string, err error) {
	err = act(ctx, g.log, access.Manage, audit.Entry{Action: "fleet.cycle", Detail: name}, func() (int64, error) {
		before, now, err = g.FleetBackend.Cycle(ctx, name)
		return 0, err
	})
	return before, now, err
}

func (g *guardedFleet) Drain(ctx context.Context, name string) (state manager.State, err error) {
	err = act(ctx, g.log, access.Manage, audit.Entry{Action: "fleet.drain", Detail: name}, func() (int64, error) {
		state, err = g.FleetBackend.Drain(ctx, name)
		return 0, err
	})
	return state, err
}
