package fleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/jobdb/mysql/mysqltest"
)

// The server of the JobDBs is killed and comes back, connections to it are cut, in
// the middle of a commit and before its answer, and it becomes slow.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	proxy := mysqltest.NewProxy(t, server.Address)
	f := newFleet(t, ground{mysql: proxy.Address})
	f.manager("manager")
	members := []*member{f.director("a"), f.director("b")}
	ready := func() {
		for _, m := range members {
			m.awaitReady()
		}
	}

	l := f.startLoad()
	l.flow()
	server.Kill()
	for _, m := range members {
		f.await("aware that the server is gone", func() (bool, string) {
			ok, said := m.ready()
			return !ok, said
		})
	}
	server.Restart()
	ready()
	l.flow()
	l.settle(len(members))

	l = f.startLoad()
	l.flow()
	var cut atomic.Int32
	proxy.Plan(func(command []byte) mysqltest.Fate {
		if !bytes.Contains(command, []byte("COMMIT")) || cut.Load() == 4 {
			return mysqltest.Pass
		}
		return []mysqltest.Fate{mysqltest.Cut, mysqltest.CutAnswer}[cut.Add(1)%2]
	})
	f.await("cut", func() (bool, string) { return cut.Load() == 4, "" })
	ready()
	l.flow()
	l.settle(4)

	l = f.startLoad()
	l.flow()
	proxy.Delay(250 * time.Millisecond)
	l.flowOf(backlog / 10) // a commit takes more than a second
	proxy.Delay(0)
	l.flow()
	l.settle(0)
}

// One of two servers goes down for long. A Director whose JobDB is there is restarted
// and serves from the other one; what it left behind is delivered when the server is
// back.
func TestMariaDBGone(t *testing.T) {
	t.Parallel()
	lost, kept := mysqltest.Start(t), mysqltest.Start(t)
	f := newFleet(t, ground{mysql: lost.Address + "," + kept.Address})
	f.manager("manager", "--spares", "3")
	f.await("ready with spares", func() (bool, string) {
		states, said := f.jobdbs()
		return len(states[pb.JobDBState_JOB_DB_STATE_SPARE]) == 6, said
	})
	on := func(server *mysqltest.Server) (owners []string) {
		states, _ := f.jobdbs()
		for _, j := range states[pb.JobDBState_JOB_DB_STATE_LIVE] {
			if j.GetServer() == server.Address {
				owners = append(owners, j.GetOwner())
			}
		}
		return owners
	}
	var members []*member
	for len(on(lost)) == 0 || len(on(kept)) == 0 {
		members = append(members, f.director(fmt.Sprintf("director-%d", len(members))))
	}
	l := f.startLoad()
	l.flow()
	struck := on(lost)
	for _, m := range members {
		if slices.Contains(struck, m.name) {
			m.awaitJobs()
		}
	}
	lost.Kill()
	for _, m := range members {
		if slices.Contains(struck, m.name) {
			m.end(syscall.SIGTERM)
			f.director(m.name + "-again")
		}
	}
	lost.Restart()
	l.flow() // until now, Submits may have waited to hear what became of them there
	f.awaitTidy()
	l.settle(len(struck))
}

// The disk of the server fills up, where mounting a small one is allowed.
func TestMariaDBFull(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=400m"); err != nil {
		t.Logf("mount a small file system: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	server := mysqltest.StartIn(t, filepath.Join(disk, "data"))
	f := newFleet(t, ground{mysql: server.Address})
	f.manager("manager")
	a := f.director("a")
	l := f.startLoad()
	l.flow()

	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	f.await("held up by the full disk", func() (bool, string) {
		fill(t, ballast) // also what the server has given back
		ok, said := a.ready()
		return !ok, said
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	a.awaitReady()
	l.flow()
	l.settle(1)
}

// fill has a file take all the room that there is.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		if _, err := file.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
}
