package main

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"centrifuge"
	"centrifuge/director"
	"centrifuge/jobdb"
	"centrifuge/manager"
)

// errUnread is the answer when it cannot be told whether there is such a job.
var errUnread = connect.NewError(connect.CodeUnavailable,
	errors.New("a JobDB that may know of this job cannot be read at the moment; the server's log says more"))

// findPast finds a job in the fleet's JobDBs, whoever has them.
func (f *fleet) findPast(ctx context.Context, id centrifuge.ID) (jobdb.Trace, error) {
	trace, err := f.past.Trace(ctx, id)
	gone, isGone := errors.AsType[*manager.GoneError](err)
	switch {
	case err == nil, errors.Is(err, jobdb.ErrNotFound), ctx.Err() != nil:
		return trace, err
	case isGone:
		return trace, &director.GoneError{Reason: gone.Error() + " (--jobdb-keep)"}
	}
	f.logger.WarnContext(ctx, "cannot tell whether there is a job", "job", id, "error", err)
	return trace, errUnread
}
