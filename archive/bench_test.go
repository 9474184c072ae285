package archive_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
)

func bulk(b *testing.B, n int, made time.Time) []archive.Record {
	b.Helper()
	rs := make([]archive.Record, n)
	for i := range rs {
		rs[i] = record(b, byte(i))
		id := jobID(b, made, byte(i))
		binary.BigEndian.PutUint64(id[8:], uint64(i)*0x9E3779B97F4A7C15)
		rs[i].Job.ID, rs[i].Job.ReplayOf = id, centrifuge.ID{}
		rs[i].Job.Payload = fmt.Appendf(nil, `{"event":"order","number":%d,"text":"%x"}`, i, rs[i].Job.Payload)
	}
	return rs
}

func BenchmarkWrite(b *testing.B) {
	rs := bulk(b, 1000, noon)
	folder, err := archive.OpenFolder(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a := archive.New(folder)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		name := archive.ObjectName(noon.Add(time.Duration(n)*time.Millisecond), "d1", rs[0].Job.ID)
		if err := a.Write(b.Context(), name, rs); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*len(rs)), "µs/job")
	if err := folder.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFind looks for a job among 1,000 objects of 100 jobs, in the last.
func BenchmarkFind(b *testing.B) {
	folder, err := archive.OpenFolder(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a := archive.New(folder)
	var last centrifuge.ID
	for i := range 1000 {
		made := noon.Add(time.Duration(i) * time.Second)
		rs := bulk(b, 100, made)
		last = rs[50].Job.ID
		if err := a.Write(b.Context(), archive.ObjectName(made, "d1", rs[0].Job.ID), rs); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("by id", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Find(b.Context(), last); err != nil {
				b.Fatal(err)
			}
		}
	})
	filter := archive.Filter{Source: "nobody"}
	b.Run("by source", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if page, err := a.List(b.Context(), filter, "", 10); err != nil || len(page.Entries) > 0 {
				b.Fatal(page, err)
			}
		}
	})
	if err := folder.Close(); err != nil {
		b.Fatal(err)
	}
}
