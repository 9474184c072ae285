package sqlbody

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/jobdb"
)

func FuzzHeaders(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(appendHeaders(nil, []centrifuge.Header{{Name: "Content-Type", Value: "application/json"}, {}}))
	f.Add([]byte{5, 'a'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		headers, err := parseHeaders(b)
		if err != nil {
			if !errors.Is(err, jobdb.ErrCorrupt) {
				t.Errorf("parse: %v, want ErrCorrupt", err)
			}
			return
		}
		again, err := parseHeaders(appendHeaders(nil, headers))
		if err != nil || !reflect.DeepEqual(again, headers) {
			t.Errorf("%q became %q, %v", headers, again, err)
		}
	})
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(appendSettings(nil, &centrifuge.Settings{Timeout: time.Second, Encoding: centrifuge.EncodingGzip}))
	f.Add([]byte{2, 4})
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		settings, err := parseSettings(b)
		if err != nil {
			if !errors.Is(err, jobdb.ErrCorrupt) {
				t.Errorf("parse: %v, want ErrCorrupt", err)
			}
			return
		}
		again, err := parseSettings(appendSettings(nil, &settings))
		if err != nil || again != settings {
			t.Errorf("%+v became %+v, %v", settings, again, err)
		}
	})
}

func TestPartsOfIDsAreCorrupt(t *testing.T) {
	for n := range 61 {
		ids, err := parseIDs(make([]byte, n))
		if whole := n%20 == 0; whole != (err == nil) || whole && len(ids) != n/20 {
			t.Errorf("%d bytes: %d ids, %v", n, len(ids), err)
		}
		if _, err := parseID(make([]byte, n)); (n == 20) != (err == nil) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func BenchmarkHeaders(b *testing.B) {
	headers := []centrifuge.Header{
		{Name: "Content-Type", Value: "application/json"}, {Name: "X-Signature", Value: "sha256=6dfb1d7c0d4a"}, {Name: "Accept", Value: "*/*"},
	}
	b.Run("lengths", func(b *testing.B) {
		var dst []byte
		for b.Loop() {
			dst = appendHeaders(dst[:0], headers)
		}
		b.ReportMetric(float64(len(dst)), "B")
	})
	b.Run("json", func(b *testing.B) {
		var dst []byte
		for b.Loop() {
			dst, _ = json.Marshal(headers)
		}
		b.ReportMetric(float64(len(dst)), "B")
	})
}
