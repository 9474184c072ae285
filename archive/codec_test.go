package archive

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"centrifuge"
)

func compress(t testing.TB, lines ...any) []byte {
	t.Helper()
	w, err := newLineWriter()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if err := w.write(line); err != nil {
			t.Fatal(err)
		}
	}
	data, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Lines longer than any buffer on the way come out whole, and one decoder after
// the other from the pool.
func TestLines(t *testing.T) {
	a := New(nil)
	want := []string{"", strings.Repeat("x", 63<<10), strings.Repeat("yz", 1<<20), "short", strings.Repeat("w", 1<<16)}
	var in []any
	for _, s := range want {
		in = append(in, s)
	}
	data := compress(t, in...)
	for range 3 {
		var got []string
		for line, err := range a.lines(data) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Trim(string(line), `"`))
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%d lines, unlike the %d written", len(got), len(want))
		}
	}
}

// An object cut short anywhere is told from a whole one.
func TestLinesCutShort(t *testing.T) {
	a := New(nil)
	data := compress(t, "first line", "second line", "third line")
	for n := range data {
		var last error
		for _, err := range a.lines(data[:n]) {
			last = err
		}
		if last == nil || errors.Is(last, io.EOF) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(data), last)
		}
	}
}

// A last line without an end was not written by us, or not wholly.
func TestLinesWithoutEnd(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first\nsecon", "f", strings.Repeat("x", 100<<10)} {
		var last error
		for _, err := range New(nil).lines(enc.EncodeAll([]byte(text), nil)) {
			last = err
		}
		if !errors.Is(last, io.ErrUnexpectedEOF) {
			t.Errorf("%.10q: %v", text, last)
		}
	}
}

// The format is what docs/archive-format.md shows, to the byte.
func TestFormat(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 15, 0, 0, time.UTC)
	id := centrifuge.ID{0x19, 0x54, 0x0e, 0x54, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	again := centrifuge.ID{0x19, 0x54, 0x46, 0x94, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	full := Record{
		Job: centrifuge.Job{
			ID: id, Source: "shop", Destination: "hooks.example.com", Endpoint: "https://hooks.example.com/in?a=1&b=2", Method: "POST",
			Headers: []centrifuge.Header{{Name: "Content-Type", Value: "application/json"}},
			Payload: []byte(`{"order":1}`),
			Settings: centrifuge.Settings{
				Timeout: 2500 * time.Millisecond, Encoding: centrifuge.EncodingGzip,
				Retry: centrifuge.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Minute, MaxAttempts: 100},
			},
			CreatedAt: at, ExpireAt: at.Add(4 * time.Hour), ReplayOf: centrifuge.ID{19: 1},
		},
		Attempts: 1, Reason: centrifuge.ErrorExpired, StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut, Error: "busy",
		LastAttemptAt: at.Add(40 * time.Millisecond), ArchivedAt: at.Add(4 * time.Hour),
		Transitions: []centrifuge.Transition{
			{JobID: id, State: centrifuge.StateAwaitingScheduling, Time: at},
			{JobID: id, Seq: 17, State: centrifuge.StateExecuting, Attempt: 1, Time: at.Add(5 * time.Millisecond)},
			{
				JobID: id, Seq: 21, State: centrifuge.StateAwaitingRetry, Attempt: 1, Time: at.Add(40 * time.Millisecond),
				RetryAt: at.Add(900 * time.Millisecond), StatusCode: 503, ErrorCode: centrifuge.ErrorTimedOut, Error: "busy",
				Duration: 34567800 * time.Nanosecond,
			},
		},
	}
	least := Record{Job: centrifuge.Job{ID: id}}
	doc, err := os.ReadFile("../docs/archive-format.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string]any{
		"record": mustLine(t, &full), "least record": mustLine(t, &least), "index": newIndexLine(&full),
		"mark": markLine{Format: format, ID: id, ReplayedAs: again, ReplayedAt: instant(at.Add(5 * time.Hour))},
	} {
		for line, err := range New(nil).lines(compress(t, v)) {
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(doc, append([]byte("\n"), append(line, '\n')...)) {
				t.Errorf("the document has no line for the %s:\n%s", what, line)
			}
		}
	}
	if name := ObjectName(full.ArchivedAt, "node-1", id); !bytes.Contains(doc, []byte(name)) {
		t.Errorf("the document does not show the name %s", name)
	}
}

func mustLine(t *testing.T, r *Record) recordLine {
	t.Helper()
	line, err := newRecordLine(r)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "0.000001", -1: "-0.000001", time.Millisecond: "1", 1500 * time.Microsecond: "1.5",
		-time.Second - 1: "-1000.000001", time.Hour: "3600000", 10 * time.Second: "10000",
		math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808",
	} {
		got, err := millis(d).MarshalJSON()
		var back millis
		if err2 := back.UnmarshalJSON(got); string(got) != want || err != nil || err2 != nil || time.Duration(back) != d {
			t.Errorf("%d: %s, %v, and back %d, %v; want %s", d, got, err, back, err2, want)
		}
	}
	for _, bad := range []string{"null", `"1"`, "1e3", "1h", "", "9223372036854.775808"} {
		if err := new(millis).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

// What can be parsed can be written, and is the same when parsed again.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":"2xuhYqTmg6F5c1Ju3GNzmnEXgTS","source":"a","payload":"AAEC","headers":[{"name":"A","value":"b"}],` +
		`"settings":{"timeout_ms":1.5,"encoding":"gzip"},"created_at":"2026-11-22T12:00:00.0019+01:00","attempts":1,"reason":"EXPIRED",` +
		`"transitions":[{"seq":1,"state":"executing","attempt":1,"duration_ms":12.345678,"time":"2026-11-22T12:00:00Z"}]}`))
	f.Add([]byte(`{"v":2,"id":"2xuhYqTmg6F5c1Ju3GNzmnEXgTS"}`))
	f.Add([]byte(`{"v":1,"id":"2xuhYqTmg6F5c1Ju3GNzmnEXgTS","payload":null,"replay_of":null,"archived_at":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		line, err := newRecordLine(&r)
		if err != nil {
			t.Fatal(err)
		}
		a := New(nil)
		for again, err := range a.lines(compress(t, line)) {
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseRecord(again); err != nil || !reflect.DeepEqual(got, r) {
				t.Fatalf("%+v, %v\nwant %+v", got, err, r)
			}
		}
		for again, err := range a.lines(compress(t, newIndexLine(&r))) {
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseEntry(again); err != nil || got.JobID != r.Job.ID || got.Endpoint != r.Job.Endpoint {
				t.Fatalf("%+v, %v\nwant an entry of %+v", got, err, r)
			}
		}
	})
}

// What a filter chooses has all the texts that it looks for before it parses.
func FuzzNeedles(f *testing.F) {
	f.Add("shop", "mail.example", "https://x/?a=<b>&c*", 8, 503, "ETIMEDOUT")
	f.Add("<a>&", "b>", "https://x/?a=<b>&c", -1, 1, "<")
	f.Add("\u2028\"\\", "\x00\x7f", "https://é/", 9, 0, "")
	f.Add("\xff", "\xed\xa0\x80", "*", 0, -1, "EXPIRED")
	a := New(nil)
	f.Fuzz(func(t *testing.T, source, destination, endpoint string, cut, status int, code string) {
		r := Record{
			Job:        centrifuge.Job{ID: centrifuge.ID{1}, Source: source, Destination: destination, Endpoint: endpoint},
			StatusCode: status, Reason: centrifuge.ErrorCode(code),
		}
		for line, err := range a.lines(compress(t, newIndexLine(&r))) {
			if err != nil {
				t.Fatal(err)
			}
			e, err := parseEntry(line)
			if err != nil {
				t.Fatal(err)
			}
			filter := Filter{
				JobID: e.JobID, Source: e.Source, Destination: e.Destination, Endpoint: e.Endpoint,
				StatusCode: e.StatusCode, ErrorCode: e.Reason,
			}
			if cut >= 0 && cut <= len(e.Endpoint) {
				filter.Endpoint = e.Endpoint[:cut] + "*"
			}
			if filter.match(&e) && !containsAll(line, filter.needles()) {
				t.Fatalf("%s\nis chosen by %+v, but lacks one of %q", line, filter, filter.needles())
			}
			// And they are worth looking for.
			filter.Source += "x"
			if utf8.ValidString(source) && !strings.ContainsRune(source, utf8.RuneError) &&
				!strings.Contains(string(line), quote(filter.Source)) && containsAll(line, filter.needles()) {
				t.Fatalf("%s has all of %q", line, filter.needles())
			}
		}
	})
}

// Bytes that are no object of ours end in an error, not in a panic, a hang or
// memory beyond bounds.
func FuzzLines(f *testing.F) {
	whole := compress(f, "first", "second")
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add([]byte("plain\n"))
	a := New(nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, failed := 0, false
		for line, err := range a.lines(data) {
			if failed {
				t.Fatal("something follows an error")
			}
			if failed = err != nil; !failed {
				lines++
				if bytes.ContainsRune(line, '\n') {
					t.Fatalf("a line with an end in it: %q", line)
				}
			}
		}
		if lines == 0 && !failed {
			t.Fatal("neither a line nor an error")
		}
	})
}

func FuzzSplitName(f *testing.F) {
	f.Add("2026/11/22/20/20261122T201500.123Z-d1-2xuhYqTmg6F5c1Ju3GNzmnEXgTS.ndjson.zst")
	f.Add("2026/11/22/20/20261122T201500.123Z--2xuhYqTmg6F5c1Ju3GNzmnEXgTS")
	f.Fuzz(func(t *testing.T, stored string) {
		object, at, ext, ok := splitName(stored)
		if !ok {
			return
		}
		if object+ext != stored || CheckName(object) != nil || ext[0] != '.' || object[:len(timePrefix(at))] != timePrefix(at) {
			t.Errorf("%q was split in %q and %q", stored, object, ext)
		}
	})
}
