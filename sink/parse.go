package sink

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseRoute reads a route from its spec: a prefix, an equals sign and fields
// between semicolons, any of them absent, as in
//
//	/flaky=status:200:0.8,500:0.2;latency:5ms-20ms;rate:100;outage:10s+30s:hang
//
// The fields are
//
//	status:REPLY[:WEIGHT],…         the mix; a weight left out is 1
//	latency:D                       a fixed wait
//	latency:D-D                     uniform between two
//	latency:p50=D,p99=D             log-normal, by its percentiles
//	rate:N                          requests a second, 429 above
//	burst:N                         requests at once, a second's worth if absent
//	retry-after:FORM[:D]            seconds, date or none; D on every 429 and 503
//	outage:START+LENGTH:REPLY       may be repeated
//
// where D, START and LENGTH are Go durations and REPLY is a status of 0 to 999 or
// one of hang, close, reset, malformed, drip, endless and endless-header. An
// error names the route and the field at fault.
func ParseRoute(spec string) (Route, error) {
	prefix, fields, ok := strings.Cut(spec, "=")
	if !ok {
		return Route{}, fmt.Errorf("route %q: no equals sign between prefix and behaviour", spec)
	}
	if err := validatePrefix(prefix); err != nil {
		return Route{}, fmt.Errorf("route %q: prefix: %w", prefix, err)
	}
	b, err := ParseBehaviour(fields)
	if err != nil {
		return Route{}, fmt.Errorf("route %q: %w", prefix, err)
	}
	return Route{Prefix: prefix, Behaviour: b}, nil
}

// ParseBehaviour reads the fields of a route's spec; see [ParseRoute]. The empty
// string is the zero Behaviour. An error names the field at fault.
func ParseBehaviour(spec string) (Behaviour, error) {
	var b Behaviour
	seen := make(map[string]bool)
	for field := range strings.SplitSeq(spec, ";") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, ":")
		if seen[name] && name != "outage" {
			return Behaviour{}, fmt.Errorf("%s: given twice", name)
		}
		seen[name] = true
		if err := b.set(name, value); err != nil {
			return Behaviour{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := b.validate(); err != nil {
		return Behaviour{}, err
	}
	return b, nil
}

func (b *Behaviour) set(name, value string) (err error) {
	switch name {
	case "status":
		b.Replies, err = parseReplies(value)
	case "latency":
		b.Latency, err = parseLatency(value)
	case "rate":
		if b.Rate, err = parseNumber(value); err == nil && b.Rate == 0 {
			err = errors.New("must be above 0")
		}
	case "burst":
		b.Burst, err = strconv.Atoi(value)
		if err != nil || b.Burst < 1 {
			err = fmt.Errorf("%q is not a whole number above 0", value)
		}
	case "retry-after":
		b.RetryAfter, err = parseRetryAfter(value)
	case "outage":
		var o Outage
		o, err = parseOutage(value)
		b.Outages = append(b.Outages, o)
	default:
		err = errors.New("unknown field; want status, latency, rate, burst, retry-after or outage")
	}
	return err
}

func parseReplies(value string) ([]Share, error) {
	var mix []Share
	for part := range strings.SplitSeq(value, ",") {
		name, weight, weighted := strings.Cut(part, ":")
		share := Share{Weight: 1}
		var err error
		if share.Reply, err = parseReply(name); err != nil {
			return nil, err
		}
		if weighted {
			if share.Weight, err = parseNumber(weight); err != nil {
				return nil, fmt.Errorf("weight of %s: %w", name, err)
			}
		}
		mix = append(mix, share)
	}
	return mix, nil
}

func parseReply(name string) (Reply, error) {
	for r := Hang; r >= EndlessHeader; r-- {
		if name == r.String() {
			return r, nil
		}
	}
	status, err := strconv.ParseUint(name, 10, 16)
	if err != nil || status > 999 {
		return 0, fmt.Errorf("%q is neither a status of 0 to 999 nor a misbehaviour", name)
	}
	return Reply(status), nil
}

func parseLatency(value string) (Latency, error) {
	if percentiles, ok := strings.CutPrefix(value, "p50="); ok {
		p50, p99, ok := strings.Cut(percentiles, ",p99=")
		if !ok {
			return Latency{}, fmt.Errorf("%q has a p50 and no p99", value)
		}
		return parseLatencyPair(LogNormalLatency, p50, p99)
	}
	if low, high, ok := strings.Cut(value, "-"); ok {
		return parseLatencyPair(UniformLatency, low, high)
	}
	d, err := parseDuration(value)
	return FixedLatency(d), err
}

func parseLatencyPair(make func(low, high time.Duration) Latency, low, high string) (Latency, error) {
	l, err := parseDuration(low)
	if err != nil {
		return Latency{}, err
	}
	h, err := parseDuration(high)
	return make(l, h), err
}

func parseRetryAfter(value string) (RetryAfter, error) {
	name, delay, delayed := strings.Cut(value, ":")
	for form := RetryAfterSeconds; form <= RetryAfterNone; form++ {
		if name != form.String() {
			continue
		}
		ra := RetryAfter{Form: form}
		var err error
		if delayed {
			ra.Delay, err = parseDuration(delay)
		}
		return ra, err
	}
	return RetryAfter{}, fmt.Errorf("%q is not seconds, date or none", name)
}

func parseOutage(value string) (Outage, error) {
	window, reply, ok := strings.Cut(value, ":")
	start, length, plus := strings.Cut(window, "+")
	if !ok || !plus {
		return Outage{}, fmt.Errorf("%q is not of the form START+LENGTH:REPLY", value)
	}
	var o Outage
	var err error
	if o.Start, err = parseDuration(start); err != nil {
		return Outage{}, fmt.Errorf("start: %w", err)
	}
	if o.Length, err = parseDuration(length); err != nil {
		return Outage{}, fmt.Errorf("length: %w", err)
	}
	o.Reply, err = parseReply(reply)
	return o, err
}

func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 20ms", value)
	}
	return d, nil
}

func parseNumber(value string) (float64, error) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", value)
	}
	return n, nil
}
