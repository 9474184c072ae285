package sink

import (
	"strconv"
	"strings"
)

// String is the route's spec: [ParseRoute] reads it back as it was.
func (r Route) String() string { return r.Prefix + "=" + r.Behaviour.String() }

// String is the behaviour's spec: [ParseBehaviour] reads it back as it was.
func (b Behaviour) String() string {
	var fields []string
	if len(b.Replies) > 0 {
		mix := make([]string, len(b.Replies))
		for i, s := range b.Replies {
			mix[i] = s.Reply.String() + ":" + formatNumber(s.Weight)
		}
		fields = append(fields, "status:"+strings.Join(mix, ","))
	}
	if b.Latency != (Latency{}) {
		fields = append(fields, "latency:"+b.Latency.String())
	}
	if b.Rate > 0 {
		fields = append(fields, "rate:"+formatNumber(b.Rate))
	}
	if b.Burst > 0 {
		fields = append(fields, "burst:"+strconv.Itoa(b.Burst))
	}
	if b.RetryAfter != (RetryAfter{}) {
		field := "retry-after:" + b.RetryAfter.Form.String()
		if b.RetryAfter.Delay > 0 {
			field += ":" + b.RetryAfter.Delay.String()
		}
		fields = append(fields, field)
	}
	for _, o := range b.Outages {
		fields = append(fields, "outage:"+o.Start.String()+"+"+o.Length.String()+":"+o.Reply.String())
	}
	return strings.Join(fields, ";")
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }
