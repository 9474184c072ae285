package sink_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"centrifuge/sink"
)

func TestParseRoute(t *testing.T) {
	ms := time.Millisecond
	for spec, want := range map[string]sink.Route{
		"/a=": {Prefix: "/a"},
		"/flaky=status:200:0.8,500:0.2;latency:5ms-20ms;rate:100;outage:10s+30s:hang": {
			Prefix: "/flaky",
			Behaviour: sink.Behaviour{
				Replies: []sink.Share{{Reply: 200, Weight: 0.8}, {Reply: 500, Weight: 0.2}},
				Latency: sink.UniformLatency(5*ms, 20*ms),
				Rate:    100,
				Outages: []sink.Outage{{Start: 10 * time.Second, Length: 30 * time.Second, Reply: sink.Hang}},
			},
		},
		"/= status:999,endless-header ; latency:p50=5ms,p99=1s; rate:0.5;burst:3;retry-after:date:2m;outage:0s+1s:close;outage:1m+1s:503;": {
			Prefix: "/",
			Behaviour: sink.Behaviour{
				Replies:    []sink.Share{{Reply: 999, Weight: 1}, {Reply: sink.EndlessHeader, Weight: 1}},
				Latency:    sink.LogNormalLatency(5*ms, 1000*ms),
				Rate:       0.5,
				Burst:      3,
				RetryAfter: sink.RetryAfter{Form: sink.RetryAfterDate, Delay: 2 * time.Minute},
				Outages: []sink.Outage{
					{Length: time.Second, Reply: sink.Close},
					{Start: time.Minute, Length: time.Second, Reply: 503},
				},
			},
		},
		"/x/y=latency:1.5s": {Prefix: "/x/y", Behaviour: sink.Behaviour{Latency: sink.FixedLatency(1500 * ms)}},
	} {
		if got, err := sink.ParseRoute(spec); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", spec, got, err, want)
		}
	}
}

func TestParseRouteNamesTheFault(t *testing.T) {
	for spec, want := range map[string]string{
		"/a":                             `route "/a": no equals sign`,
		"a=":                             `route "a": prefix: must begin with a slash`,
		"/a/=":                           `route "/a/": prefix: must not end with a slash`,
		"/_sink=":                        `route "/_sink": prefix: is the sink's own`,
		"/_sink/x=":                      `prefix: is the sink's own`,
		"/a=color:red":                   `route "/a": color: unknown field`,
		"/a=rate:5;rate:6":               `rate: given twice`,
		"/a=status":                      `status: "" is neither`,
		"/a=status:1000":                 `status: "1000" is neither`,
		"/a=status:200:x":                `status: weight of 200: "x" is not a number`,
		"/a=status:200:0":                `status: weight 0 of 200 is not above 0`,
		"/a=status:200:NaN":              `status: weight NaN of 200 is not above 0`,
		"/a=status:200:1,slow:2":         `status: "slow" is neither`,
		"/a=status:client-left":          `status: "client-left" is neither`,
		"/a=latency:5":                   `latency: "5" is not a duration`,
		"/a=latency:20ms-5ms":            `latency: 20ms is above 5ms`,
		"/a=latency:5ms-x":               `latency: "x" is not a duration`,
		"/a=latency:25h":                 `latency: 25h0m0s is not between`,
		"/a=latency:p50=1ms":             `latency: "p50=1ms" has a p50 and no p99`,
		"/a=latency:p50=0s,p99=1s":       `latency: p50 must be above 0`,
		"/a=rate:fast":                   `rate: "fast" is not a number`,
		"/a=rate:0":                      `rate: must be above 0`,
		"/a=rate:-1":                     `rate: -1 is not between`,
		"/a=rate:+Inf":                   `rate: +Inf is not between`,
		"/a=rate:1;burst:0":              `burst: "0" is not a whole number above 0`,
		"/a=burst:5":                     `burst: means nothing without a rate`,
		"/a=rate:0.001;burst:1000":       `burst: 1000 at a rate of 0.001 take more than`,
		"/a=retry-after:later":           `retry-after: "later" is not seconds, date or none`,
		"/a=retry-after:seconds:-1s":     `retry-after: -1s is not between`,
		"/a=outage:10s:hang":             `outage: "10s:hang" is not of the form`,
		"/a=outage:x+1s:hang":            `outage: start: "x" is not a duration`,
		"/a=outage:1s+0s:hang":           `outage: length: must be above 0`,
		"/a=outage:1s+1s:asleep":         `outage: "asleep" is neither`,
		"/a=outage:1s+1s:500;outage:bad": `outage: "bad" is not of the form`,
	} {
		_, err := sink.ParseRoute(spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", spec, err, want)
		}
	}
}

// FuzzParseRoute checks that what parses makes a sink, and that its spec, written
// out, reads back as the same route.
func FuzzParseRoute(f *testing.F) {
	for _, spec := range []string{
		"/flaky=status:200:0.8,500:0.2;latency:5ms-20ms;rate:100;outage:10s+30s:hang",
		"/=status:close,drip:2;latency:p50=5ms,p99=1s;rate:1;burst:2;retry-after:none:1s",
		"/a=", "a", "/a=status:", "/a=latency:-", "/a=outage:+:",
	} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		route, err := sink.ParseRoute(spec)
		if err != nil {
			return
		}
		if _, err := sink.New(sink.Options{Routes: []sink.Route{route}}); err != nil {
			t.Errorf("parsed, but New: %v", err)
		}
		again, err := sink.ParseRoute(route.String())
		if err != nil || !reflect.DeepEqual(again, route) {
			t.Errorf("%q\nas written %q\nread back %+v, %v\nwas %+v", spec, route.String(), again, err, route)
		}
	})
}
