package jobdbtest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"centrifuge/jobdb"
)

// RunPool runs the suite of a pool. Each of its tests calls create for an empty
// pool of its own, with at least one server, to be cleaned up by the test's end.
func RunPool(t *testing.T, create func(t *testing.T) jobdb.Pool) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, p *pool)
	}{
		{"EmptyPool", func(_ *testing.T, p *pool) { p.mustHave() }},
		{"CreatedIsListedAndEmpty", testCreated},
		{"CreateLeavesWhatIsThere", testCreateTwice},
		{"OpenMakesWhatIsMissing", testOpenMakes},
		{"EpochMustRiseInAPool", testPoolEpoch},
		{"DroppedIsGone", testDropped},
		{"DropOfNothing", testDropNothing},
		{"ListIsByName", testListOrder},
		{"NamesAndServersAreChecked", testPoolNames},
		{"ManyAtOnce", testPoolConcurrency},
		{"ReadBesideTheOwner", testReadBeside},
		{"ReadAfterTheOwner", testReadAfter},
		{"MarkTellsFormerStates", testMark},
		{"ReadMakesNothing", testReadMakesNothing},
		{"ReadDoesNotHinderDrop", testReadAndDrop},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &pool{t: t, Pool: create(t)}
			servers, err := p.Servers(t.Context())
			if err != nil || len(servers) == 0 {
				t.Fatalf("servers: %v, %v", servers, err)
			}
			p.server = servers[0].Name
			test.run(t, p)
		})
	}
}

// pool is the pool of one test, and the server of it that the test is about.
type pool struct {
	jobdb.Pool
	t      *testing.T
	server string
}

// mustHave checks which JobDBs the server lists, and that each has a size.
func (p *pool) mustHave(names ...string) {
	p.t.Helper()
	servers, err := p.Servers(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	var found []string
	for _, s := range servers {
		if s.Err != nil {
			p.t.Fatalf("server %s: %v", s.Name, s.Err)
		}
		for _, f := range s.Files {
			if f.Bytes < 1 {
				p.t.Errorf("%s has %d bytes", f.Name, f.Bytes)
			}
			found = append(found, f.Name)
		}
	}
	if !slices.Equal(found, names) {
		p.t.Errorf("the pool lists %v, want %v", found, names)
	}
}

func (p *pool) mustCreate(name string) {
	p.t.Helper()
	if err := p.Create(p.t.Context(), p.server, name); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pool) mustDrop(name string) {
	p.t.Helper()
	if err := p.Drop(p.t.Context(), p.server, name); err != nil {
		p.t.Fatal(err)
	}
}

// store opens a JobDB of the pool for what the suite of JobDBs does to one.
func (p *pool) store(name string) *store {
	p.t.Helper()
	s := &store{t: p.t, create: func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
		return p.Open(ctx, p.server, name, epoch)
	}}
	s.open()
	return s
}

// count opens the JobDB under the epoch and counts its jobs.
func (p *pool) count(name string, epoch uint64) int {
	p.t.Helper()
	db, err := p.Open(p.t.Context(), p.server, name, epoch)
	if err != nil {
		p.t.Fatal(err)
	}
	n := 0
	for _, err := range db.Scan(p.t.Context()) {
		if err != nil {
			p.t.Fatal(err)
		}
		n++
	}
	if err := db.Close(); err != nil {
		p.t.Error(err)
	}
	return n
}

// fill puts a job into the JobDB, under epoch 1, and leaves it closed.
func (p *pool) fill(name string) {
	p.t.Helper()
	s := p.store(name)
	s.commitJobs(s.job())
	if err := s.db.Close(); err != nil {
		p.t.Fatal(err)
	}
}

func testCreated(_ *testing.T, p *pool) {
	p.mustCreate(jobdb.Name(7))
	p.mustHave(jobdb.Name(7))
	if n := p.count(jobdb.Name(7), 1); n != 0 {
		p.t.Errorf("a new JobDB has %d jobs", n)
	}
}

func testCreateTwice(t *testing.T, p *pool) {
	name := jobdb.Name(1)
	p.mustCreate(name)
	p.fill(name)
	p.mustCreate(name)
	if n := p.count(name, 2); n != 1 {
		t.Errorf("%d jobs after a second Create, want 1", n)
	}
}

func testOpenMakes(_ *testing.T, p *pool) {
	p.count(jobdb.Name(3), 1)
	p.mustHave(jobdb.Name(3))
}

func testPoolEpoch(t *testing.T, p *pool) {
	p.count(jobdb.Name(3), 5)
	if _, err := p.Open(t.Context(), p.server, jobdb.Name(3), 5); !errors.Is(err, jobdb.ErrSuperseded) {
		t.Errorf("opened twice under one epoch: %v", err)
	}
}

func testDropped(t *testing.T, p *pool) {
	p.mustCreate(jobdb.Name(1))
	p.mustCreate(jobdb.Name(2))
	p.fill(jobdb.Name(1))
	p.fill(jobdb.Name(2))
	p.mustDrop(jobdb.Name(1))
	p.mustHave(jobdb.Name(2))
	if n := p.count(jobdb.Name(2), 2); n != 1 {
		t.Errorf("the other JobDB has %d jobs, want 1", n)
	}
	p.mustDrop(jobdb.Name(1))
	p.mustHave(jobdb.Name(2))
}

func testDropNothing(_ *testing.T, p *pool) {
	p.mustDrop(jobdb.Name(99))
	p.mustHave()
}

func testListOrder(_ *testing.T, p *pool) {
	for _, n := range []uint64{12, 2, 100} {
		p.mustCreate(jobdb.Name(n))
	}
	p.mustHave(jobdb.Name(2), jobdb.Name(12), jobdb.Name(100))
}

func testPoolNames(t *testing.T, p *pool) {
	ctx := t.Context()
	for _, name := range []string{"", "mysql", "jobdb-", "jobdb-0", "jobdb-1", "jobdb-000000", "../jobdb-000001", "jobdb-000001;", "JOBDB-000001"} {
		if err := p.Create(ctx, p.server, name); err == nil {
			t.Errorf("created %q", name)
		}
		if err := p.Drop(ctx, p.server, name); err == nil {
			t.Errorf("dropped %q", name)
		}
		if _, err := p.Open(ctx, p.server, name, 1); err == nil {
			t.Errorf("opened %q", name)
		}
		if _, err := p.Read(ctx, p.server, name); err == nil {
			t.Errorf("read %q", name)
		}
	}
	if err := p.Create(ctx, "nowhere", jobdb.Name(1)); err == nil {
		t.Error("created on a server that is not of the pool")
	}
	if err := p.Drop(ctx, "nowhere", jobdb.Name(1)); err == nil {
		t.Error("dropped on a server that is not of the pool")
	}
	if _, err := p.Open(ctx, "nowhere", jobdb.Name(1), 1); err == nil {
		t.Error("opened on a server that is not of the pool")
	}
	p.mustHave()
}

func testPoolConcurrency(t *testing.T, p *pool) {
	const n = 6
	ended := make(chan error, n)
	for i := range uint64(n) {
		go func() {
			name := jobdb.Name(i + 1)
			err := p.Create(t.Context(), p.server, name)
			if _, e := p.Servers(t.Context()); e != nil {
				err = errors.Join(err, e)
			}
			if i%2 == 0 {
				err = errors.Join(err, p.Drop(t.Context(), p.server, name))
			}
			ended <- err
		}()
	}
	for range n {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	p.mustHave(jobdb.Name(2), jobdb.Name(4), jobdb.Name(6))
}
