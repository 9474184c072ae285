package jobdbtest

import (
	"errors"
	"testing"

	"centrifuge"
	"centrifuge/jobdb"
)

func (p *pool) read(name string) jobdb.Reader {
	p.t.Helper()
	r, err := p.Read(p.t.Context(), p.server, name)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			p.t.Error(err)
		}
	})
	return r
}

// mustTrace checks in which state the JobDB has the job.
func (p *pool) mustTrace(r jobdb.Reader, job *centrifuge.Job, want centrifuge.State) {
	p.t.Helper()
	trace, err := r.Trace(p.t.Context(), job.ID)
	if err != nil {
		p.t.Error(err)
		return
	}
	if n := len(trace.Transitions); trace.Job.ID != job.ID || string(trace.Job.Payload) != string(job.Payload) || trace.Transitions[n-1].State != want {
		p.t.Errorf("read %+v, want it %s", trace, want)
	}
}

func (p *pool) mark(r jobdb.Reader) jobdb.Mark {
	p.t.Helper()
	m, err := r.Mark(p.t.Context())
	if err != nil {
		p.t.Error(err)
	}
	return m
}

// A Reader sees what the owner commits, and hinders nobody: neither the owner, who
// goes on, nor the one after it.
func testReadBeside(t *testing.T, p *pool) {
	name := jobdb.Name(1)
	s := p.store(name)
	job, later := s.job(), s.job()
	s.commitJobs(job)
	r := p.read(name)
	p.mustTrace(r, job, centrifuge.StateAwaitingScheduling)
	var b jobdb.Batch
	s.append(&b, job.ID, accepted(), centrifuge.StateExecuting, centrifuge.StateSucceeded)
	s.commit(&b)
	s.commitJobs(later)
	p.mustTrace(r, job, centrifuge.StateSucceeded)
	p.mustTrace(r, later, centrifuge.StateAwaitingScheduling)
	if _, err := r.Trace(t.Context(), s.job().ID); !errors.Is(err, jobdb.ErrNotFound) {
		t.Errorf("a job that is not there: %v", err)
	}
	s.reopen()
	last := s.job()
	s.commitJobs(last)
	p.mustTrace(r, last, centrifuge.StateAwaitingScheduling)
}

func testReadAfter(_ *testing.T, p *pool) {
	name := jobdb.Name(1)
	s := p.store(name)
	job := s.job()
	s.commitJobs(job)
	if err := s.db.Close(); err != nil {
		p.t.Fatal(err)
	}
	r := p.read(name)
	p.mustTrace(r, job, centrifuge.StateAwaitingScheduling)
	if n := p.count(name, 1000); n != 1 {
		p.t.Errorf("%d jobs after they were read, want 1", n)
	}
}

func testMark(t *testing.T, p *pool) {
	name := jobdb.Name(1)
	p.mustCreate(name)
	r := p.read(name)
	if m := p.mark(r); m != (jobdb.Mark{}) {
		t.Errorf("nobody wrote, and it is %+v", m)
	}
	s := p.store(name)
	opened := p.mark(r)
	if opened.Epoch == 0 || opened.Seq != 0 {
		t.Errorf("opened: %+v", opened)
	}
	job := s.job()
	s.commitJobs(job)
	var b jobdb.Batch
	s.append(&b, job.ID, accepted(), centrifuge.StateExecuting, centrifuge.StateSucceeded)
	s.commit(&b)
	written := p.mark(r)
	if written.Epoch != opened.Epoch || written.Seq == 0 {
		t.Errorf("written: %+v", written)
	}
	if again := p.mark(p.read(name)); again != written {
		t.Errorf("%+v, and %+v to another", written, again)
	}
	s.reopen()
	if next := p.mark(r); next.Epoch <= written.Epoch || next.Seq != written.Seq {
		t.Errorf("opened again: %+v after %+v", next, written)
	}
}

func testReadMakesNothing(t *testing.T, p *pool) {
	if r, err := p.Read(t.Context(), p.server, jobdb.Name(7)); err == nil {
		_ = r.Close()
		t.Error("read what is not there")
	}
	if r, err := p.Read(t.Context(), "nowhere", jobdb.Name(7)); err == nil {
		_ = r.Close()
		t.Error("read on a server that is not of the pool")
	}
	p.mustHave()
}

func testReadAndDrop(t *testing.T, p *pool) {
	name := jobdb.Name(1)
	p.fill(name)
	r := p.read(name)
	p.mark(r)
	p.mustDrop(name)
	p.mustHave()
	if _, err := p.Read(t.Context(), p.server, name); err == nil {
		t.Error("read what was dropped")
	}
}
