package rpc

import (
	"time"

	"centrifuge"
	"centrifuge/director"
	pb "centrifuge/gen/centrifuge/v1"
)

// newSubmission reads a Submit. The jobs keep the message's payloads and
// strings, which are their own memory each: a job that waits for hours does not
// hold the rest of its batch in memory. For the same reason each job is
// allocated by itself.
func newSubmission(m *pb.SubmitRequest, now time.Time) (director.Submission, error) {
	jobs := make([]*centrifuge.Job, len(m.GetJobs()))
	for i, spec := range m.GetJobs() {
		f := fields{index: i}
		jobs[i] = f.draft(spec, now)
		if f.err != nil {
			return director.Submission{}, f.err
		}
	}
	f := fields{index: -1}
	ttl := f.duration("prepare_ttl", m.GetPrepareTtl())
	if ttl > 0 && !m.GetPrepare() {
		f.fail("prepare_ttl", "is given without prepare")
	}
	return director.Submission{
		TransactionID: m.GetTransactionId(), Jobs: jobs, Prepare: m.GetPrepare(), PrepareTTL: ttl, JobDB: m.GetJobdb(),
	}, f.err
}

// draft reads a job as its sender describes it.
func (f *fields) draft(spec *pb.JobSpec, now time.Time) *centrifuge.Job {
	return &centrifuge.Job{
		ID:          f.id("id", spec.GetId()),
		Source:      spec.GetSource(),
		Destination: spec.GetDestination(),
		Endpoint:    spec.GetEndpoint(),
		Method:      spec.GetMethod(),
		Headers:     headers(spec.GetHeaders()),
		Payload:     spec.GetPayload(),
		Settings: centrifuge.Settings{
			Timeout:  f.duration("timeout", spec.GetTimeout()),
			Encoding: f.encoding("encoding", spec.GetEncoding()),
			Retry:    f.retry("retry", spec.GetRetry()),
		},
		ExpireAt: f.expiry(spec, now),
	}
}

// expiry is when the job is to be given up: a time, a distance from now, or the
// zero time if neither is given.
func (f *fields) expiry(spec *pb.JobSpec, now time.Time) time.Time {
	if spec.GetTtl() == nil {
		return f.time("expire_at", spec.GetExpireAt())
	}
	if spec.GetExpireAt() != nil {
		f.fail("ttl", "is given beside expire_at; give one of them")
	}
	ttl := f.duration("ttl", spec.GetTtl())
	if ttl > director.MaxTTL {
		f.fail("ttl", "is %s; at most %s are accepted", ttl, director.MaxTTL)
	}
	return now.Add(ttl).UTC().Truncate(time.Millisecond)
}

// encoding reads how the outbound body is to be compressed.
func (f *fields) encoding(field string, e pb.Encoding) centrifuge.Encoding {
	switch e {
	case pb.Encoding_ENCODING_UNSPECIFIED:
		return centrifuge.EncodingIdentity
	case pb.Encoding_ENCODING_GZIP:
		return centrifuge.EncodingGzip
	case pb.Encoding_ENCODING_ZSTD:
		return centrifuge.EncodingZstd
	default:
		f.fail(field, "is %d, which is unknown; want ENCODING_GZIP, ENCODING_ZSTD or none", e)
		return centrifuge.EncodingIdentity
	}
}

func headers(given []*pb.Header) []centrifuge.Header {
	if len(given) == 0 {
		return nil
	}
	lines := make([]centrifuge.Header, len(given))
	for i, h := range given {
		lines[i] = centrifuge.Header{Name: h.GetName(), Value: h.GetValue()}
	}
	return lines
}

// idStrings writes the ids into one string and cuts it up: one allocation for
// the text of a batch instead of one a job.
func idStrings(ids []centrifuge.ID) []string {
	const length = 27
	text := make([]byte, 0, length*len(ids))
	for _, id := range ids {
		text, _ = id.AppendText(text) // never fails
	}
	all := string(text)
	list := make([]string, len(ids))
	for i := range list {
		list[i] = all[i*length : (i+1)*length]
	}
	return list
}
