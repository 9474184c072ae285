package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "centrifuge/gen/centrifuge/v1"
)

func TestFleetCommands(t *testing.T) {
	server := ready(t)
	eventually(t, "in possession of a spare", func() (bool, string) {
		out := must(t, "", "fleet", server)
		return strings.Contains(out, "spare"), out
	})
	if out := must(t, "", "fleet", "ls", server); !strings.Contains(out, "jobdb-000001  live") || !strings.Contains(out, "director  127.0.0.1:") {
		t.Errorf("fleet ls printed\n%s", out)
	}
	if out := must(t, "", "fleet", "cycle", "director", server); out != "director went from jobdb-000001 to jobdb-000002\n" {
		t.Errorf("fleet cycle printed %q", out)
	}
	eventually(t, "done with the first JobDB", func() (bool, string) {
		out := must(t, "", "fleet", server)
		return strings.Contains(out, "jobdb-000001  drained") && strings.Contains(out, "spare") && strings.Contains(out, "23h59m"), out
	})
	if out := must(t, "", "fleet", "drain", "jobdb-000001", server); out != "jobdb-000001 is drained, and kept until it is dropped\n" {
		t.Errorf("fleet drain printed %q", out)
	}
	if out := must(t, "", "fleet", "drain", "jobdb-000002", "--json", server); out != `{"state":"JOB_DB_STATE_LIVE"}`+"\n" {
		t.Errorf("fleet drain --json printed %q", out)
	}
	for _, args := range [][]string{{"cycle", "nobody"}, {"drain", "jobdb-000099"}} {
		r := call(t, "", append([]string{"fleet", server}, args...)...)
		if r.code() != exitFailure || !strings.Contains(r.err.Error(), "not_found") {
			t.Errorf("%v: exit code %d, error %v", args, r.code(), r.err)
		}
	}
	for _, args := range [][]string{{"cycle"}, {"drain"}, {"drain", "a", "b"}} {
		if r := call(t, "", append([]string{"fleet", server}, args...)...); r.code() == exitOK {
			t.Errorf("%v was accepted", args)
		}
	}
}

// Names come from strangers, and what nobody could count is not shown as 0.
func TestFleetTable(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var out strings.Builder
	err := writeFleet(&out, &pb.FleetServiceGetResponse{
		Directors: []*pb.Director{{Name: "a\x1b[31m", Error: "no route"}},
		Jobdbs: []*pb.JobDB{
			{
				Name: "jobdb-000001", State: pb.JobDBState_JOB_DB_STATE_LIVE, Bytes: 1 << 30, Owner: "a", Since: timestamppb.New(now.Add(-90 * time.Second)),
				Ledger: &pb.Ledger{Accepted: 12345, Pending: 67},
			},
			{Name: "jobdb-000002", State: pb.JobDBState_JOB_DB_STATE_RELEASED},
		},
		Servers: []*pb.JobDBServer{{Name: "db-1:3306"}, {Name: "db-2:3306", Error: "refused"}}, MaxBytes: 4 << 30,
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a·[31m", "no route", "1m30s", "25 %", "12345", "67", "1.0 GiB", "server db-2:3306 does not answer: refused"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "db-1:3306") {
		t.Errorf("printed\n%s", out.String())
	}
	if line := out.String()[strings.Index(out.String(), "jobdb-000002"):]; !strings.Contains(line, "?") {
		t.Errorf("what nobody counted is shown as\n%s", line)
	}
}
