package load_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"centrifuge/bench/load"
	"centrifuge/sink"
)

func TestRawPostsEveryBodyOnce(t *testing.T) {
	s, err := sink.New(sink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()

	const n, size = 1000, 512
	result, err := load.Raw(t.Context(), server.URL+"/raw", size, n, 16)
	if err != nil {
		t.Fatal(err)
	}
	if result.Requests != n || result.PerSecond() <= 0 {
		t.Errorf("result %+v", result)
	}
	st := s.Stats()
	if st.Delivered != n || st.Requests != n || st.Duplicates != 0 || st.Bytes != n*size {
		t.Errorf("the sink counted %+v", st)
	}
	if peak := st.Routes[""].PeakInFlight; peak > 16 {
		t.Errorf("%d requests at once, want at most 16", peak)
	}
}

func TestRawFailsOnARefusal(t *testing.T) {
	route, err := sink.ParseRoute("/=status:503")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sink.New(sink.Options{Routes: []sink.Route{route}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	if _, err := load.Raw(t.Context(), server.URL, 10, 100, 2); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("error %v, want a 503", err)
	}
}

func TestRunStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	var calls atomic.Int64
	_, err := load.Run(t.Context(), func(ctx context.Context, _ []byte) error {
		if calls.Add(1) == 5 {
			return broken
		}
		return ctx.Err()
	}, 1, 1_000_000_000, 4)
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}
