package web

import (
	"context"
	"time"
)

// Fleet shows the processes and databases of the installation.
type Fleet interface {
	Fleet(context.Context) (FleetView, error)
}

// FleetView is a fleet as it is now.
type FleetView struct {
	Directors []FleetDirector
	JobDBs    []FleetJobDB
}

// FleetDirector is one Director.
type FleetDirector struct {
	Name    string
	Address string
	State   string // serving, recovering, draining, gone
	JobDB   string
	Since   time.Time
	Pending int64
}

// FleetJobDB is one JobDB.
type FleetJobDB struct {
	Name    string
	State   string // active, spare, draining, full, drained, dropped
	Owner   string // the Director that holds it, if any
	Bytes   int64
	Limit   int64 // bytes at which it is cycled; 0 is never
	Jobs    int64
	Pending int64
	Created time.Time
}
