package main

import (
	"fmt"
	"time"

	"centrifuge/sink"
)

// demoDestination is one of those the demo delivers to.
type demoDestination struct {
	name   string
	share  float64 // of the traffic
	behave string  // of its endpoint; a sink's spec
	nobody bool    // listens
}

var demoDestinations = [...]demoDestination{
	{name: "healthy", share: 0.44, behave: "latency:2ms-20ms"},
	{name: "slow", share: 0.10, behave: "latency:p50=150ms,p99=800ms"},
	{name: "flaky", share: 0.10, behave: "status:200:0.8,500:0.2;latency:2ms-20ms"},
	{name: "limited", share: 0.08, behave: "rate:25"},
	{name: "outage", share: 0.10}, // filled in by demoRoutes
	{name: "hanging", share: 0.06, behave: "status:hang"},
	{name: "refusing", share: 0.06, behave: "status:400,401"},
	{name: "malformed", share: 0.03, behave: "status:malformed"},
	{name: "unreachable", share: 0.03, nobody: true},
}

// demoRoutes are the endpoints: one path each. The outage lasts a third of the
// time that traffic comes.
func demoRoutes(d time.Duration) ([]sink.Route, error) {
	routes := make([]sink.Route, 0, len(demoDestinations))
	for _, dest := range demoDestinations {
		if dest.nobody {
			continue
		}
		if dest.name == "outage" {
			dest.behave = fmt.Sprintf("latency:2ms-20ms;outage:%s+%s:503", d/4, d/3)
		}
		route, err := sink.ParseRoute("/" + dest.name + "=" + dest.behave)
		if err != nil {
			return nil, err
		}
		routes = append(routes, route)
	}
	return routes, nil
}
