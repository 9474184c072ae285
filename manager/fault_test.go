package manager_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"centrifuge/manager"
)

// A Manager is killed at every call that it makes, before the call takes effect and
// after, and so is one that lives on and sees the call fail. Whenever it is, the
// next one finishes what there is to do: each job is once where it can be delivered,
// nothing is left over, and the books count every job once.
func TestFaults(t *testing.T) {
	calls := faultScenario(t, fault{})
	if calls < 100 {
		t.Fatalf("only %d calls: the scenario does not reach what it should", calls)
	}
	for _, kills := range []bool{true, false} {
		for _, applied := range []bool{true, false} {
			t.Run(fmt.Sprintf("kills=%t,applied=%t", kills, applied), func(t *testing.T) {
				for call := 1; call <= calls; call++ {
					faultScenario(t, fault{call: call, kills: kills, applied: applied})
				}
			})
		}
	}
}

// faultScenario runs a fleet for a while, in which two Directors cycle, one of them
// dies with jobs that were just moved to it, and the fault happens. It returns how
// many calls the Manager made.
func faultScenario(t *testing.T, f fault) (calls int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one")
		defer w.cancel()
		w.keepAge = 2 * time.Second
		p := w.manage(t, f)
		// Whoever watches over Managers starts another when one is gone.
		go func() {
			<-p.ended
			if w.ctx.Err() == nil {
				p := w.manage(t, fault{})
				<-w.ctx.Done()
				p.end()
			}
		}()
		w.direct("a")
		w.direct("b")
		w.submit("a", 6, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
		w.submit("b", 5, 21, 22, 23, 24, 25, 26, 27, 28)
		// The first batch that reaches a it delivers, and that is the last thing it does:
		// nobody hears that it had taken the batch. Or it dies when the third reaches
		// anybody.
		batches := 0
		delivered := map[int]bool{}
		accepted := func(into string, batch []int) error {
			w.mu.Lock()
			batches++
			third := batches == 3
			a := w.directors["a"]
			if a != nil && a.jobdb == into {
				for _, job := range batch {
					w.files[into].jobs[job] = "done"
					delivered[job] = true
				}
			}
			w.mu.Unlock()
			switch {
			case a != nil && a.jobdb == into:
				w.kill("a")
				return errNoAnswer
			case third:
				w.kill("a")
			}
			return nil
		}
		w.mu.Lock()
		w.accepted = accepted
		w.mu.Unlock()
		time.Sleep(time.Minute)

		w.mu.Lock()
		var live int
		seen := map[int]string{}
		for name, file := range w.files {
			records, _, _ := w.catalog.List(t.Context(), 0)
			for _, r := range records {
				if r.Name == name && r.State == manager.StateLive {
					live++
				} else if r.Name == name && r.State != manager.StateSpare {
					t.Errorf("%s is %s still", name, r.State)
				}
			}
			for job, state := range file.jobs {
				if seen[job] != "" {
					t.Errorf("job %d is in %s and in %s", job, seen[job], name)
				}
				if state == "pending" {
					seen[job] = name
				}
			}
		}
		if w.directors["a"] != nil || live != 1 {
			t.Errorf("%d live JobDBs at the end", live)
		}
		w.mu.Unlock()
		for _, job := range []int{7, 8, 9, 10, 11, 26, 27, 28} {
			if seen[job] == "" && !delivered[job] {
				t.Errorf("job %d is lost", job)
			}
			if seen[job] != "" && delivered[job] {
				t.Errorf("job %d is in %s, to be delivered twice", job, seen[job])
			}
		}

		now, _ := w.newManager(t, fault{}) // one that has seen nothing: all is in the catalog
		books, err := now.Books(t.Context())
		if err != nil || !books.Balanced() {
			t.Errorf("the books do not balance: %+v, %v", books, err)
		}
		done := int64(len(delivered))
		if want := (manager.Ledger{Accepted: 19, Succeeded: 11 + done, AwaitingRetry: 8 - done}); books.Total != want {
			t.Errorf("the books have %+v, want %+v", books.Total, want)
		}
		p.mu.Lock()
		calls = p.calls
		p.mu.Unlock()
		w.cancel()
		p.end()
		synctest.Wait()
		if t.Failed() {
			t.Logf("the fault is call %d of %d: %s", f.call, calls, p.hit)
		}
	})
	return calls
}
