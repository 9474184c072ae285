package main

import (
	"context"

	"centrifuge/manager"
	"centrifuge/rpc"
	"centrifuge/visibility/web"
)

// shownFleet shows a Manager's fleet on pages.
type shownFleet struct{ fleet rpc.FleetBackend }

// Fleet implements [web.Fleet].
func (s *shownFleet) Fleet(ctx context.Context) (web.FleetView, error) {
	f, err := s.fleet.Fleet(ctx)
	if err != nil {
		return web.FleetView{}, shown(err)
	}
	var view web.FleetView
	for _, d := range f.Directors {
		shown := web.FleetDirector{Name: d.Name, Address: d.Address, State: "serving", JobDB: d.JobDB}
		if d.Err != nil {
			shown.State = "gone"
		} else if d.JobDB == "" {
			shown.State = "recovering"
		}
		for _, l := range d.Ledgers {
			shown.Pending += l.Pending()
		}
		for i := range f.JobDBs {
			if j := &f.JobDBs[i]; j.Name == d.JobDB {
				shown.Since = j.Since[manager.StateLive]
			}
		}
		view.Directors = append(view.Directors, shown)
	}
	for i := range f.JobDBs {
		j := &f.JobDBs[i]
		if j.Through > 0 {
			continue // the sum of those that are long gone
		}
		view.JobDBs = append(view.JobDBs, web.FleetJobDB{
			Name: j.Name, State: shownState(j.State), Owner: j.Owner, Bytes: j.Bytes, Limit: f.MaxBytes,
			Jobs: j.Ledger.Accepted, Pending: j.Ledger.Pending(), Created: j.Since[manager.StateSpare],
		})
	}
	return view, nil
}

// shownState is a state in the words of the pages.
func shownState(s manager.State) string {
	switch s {
	case manager.StateNew, manager.StateSpare:
		return "spare"
	case manager.StateLive:
		return "active"
	case manager.StateReleased:
		return "full"
	case manager.StateDraining, manager.StateDrained, manager.StateDropped:
	}
	return string(s)
}
