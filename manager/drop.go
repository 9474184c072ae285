package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"centrifuge/jobdb"
)

// dropDrained drops what was kept for long enough, and more if too much is kept or
// room is scarce: of each server the oldest first.
func (m *Manager) dropDrained(ctx context.Context, v *view) error {
	scarce, failed := m.scarce()
	for _, s := range v.servers {
		if s.Err != nil {
			continue
		}
		kept := keptOn(v.records, s.Name)
		var bytes int64
		for _, r := range kept {
			file, _, _ := v.file(s.Name, r.Name)
			bytes += file.Bytes
		}
		for _, r := range kept {
			age := m.o.Now().Sub(r.Since[StateDrained])
			if age < m.o.KeepAge && (m.o.KeepBytes == 0 || bytes <= m.o.KeepBytes) && !scarce {
				break
			}
			file, _, _ := v.file(s.Name, r.Name)
			bytes -= file.Bytes
			if err := m.drop(ctx, v, r); err != nil {
				failed = errors.Join(failed, err)
			} else if scarce {
				scarce, err = m.scarce()
				failed = errors.Join(failed, err)
			}
		}
	}
	return failed
}

func (m *Manager) scarce() (bool, error) {
	if m.o.Scarce == nil {
		return false, nil
	}
	scarce, err := m.o.Scarce()
	if err != nil {
		return false, fmt.Errorf("see how much room there is: %w", err)
	}
	return scarce, nil
}

// keptOn are the records of what is kept on a server, the oldest first.
func keptOn(records []Record, server string) []Record {
	var kept []Record
	for _, r := range records {
		if r.State == StateDrained && r.Server == server {
			kept = append(kept, r)
		}
	}
	slices.SortStableFunc(kept, func(a, b Record) int { return a.Since[StateDrained].Compare(b.Since[StateDrained]) })
	return kept
}

// dropLeft drops what is said to be dropped and is there: a drop was cut off.
func (m *Manager) dropLeft(ctx context.Context, v *view) error {
	var failed error
	for _, r := range v.records {
		if _, there, _ := v.file(r.Server, r.Name); r.State == StateDropped && there {
			failed = errors.Join(failed, m.drop(ctx, v, r))
		}
	}
	return failed
}

// errRestored is why a JobDB is not dropped.
var errRestored = errors.New("it is not what was drained, and is left alone: if a backup was put back, load it under a number that was never used; otherwise remove it")

// drop drops a JobDB that was drained, unless what lies there is something else:
// somebody may have put a backup back in which jobs are unfinished. That it is
// dropped is recorded first; what is only in part there after that is what is left
// of a drop that was cut off.
func (m *Manager) drop(ctx context.Context, v *view, r Record) error {
	_, there, _ := v.file(r.Server, r.Name)
	if there {
		mark, err := m.mark(ctx, r.Server, r.Name)
		remains := r.State == StateDropped && errors.Is(err, jobdb.ErrCorrupt)
		if err != nil && !remains {
			return err
		}
		if !remains && mark != r.Mark {
			m.leave(r.Name)
			return nil
		}
	}
	if r.State != StateDropped {
		if err := r.enter(StateDropped, m.o.Now()); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		if err := m.put(ctx, v, r); err != nil {
			return err
		}
	}
	if !there {
		return nil
	}
	return m.o.Pool.Drop(ctx, r.Server, r.Name)
}

// mark tells how far a JobDB was written.
func (m *Manager) mark(ctx context.Context, server, name string) (mark jobdb.Mark, err error) {
	r, err := m.o.Pool.Read(ctx, server, name)
	if err != nil {
		return mark, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if mark, err = r.Mark(ctx); err != nil {
		return mark, fmt.Errorf("JobDB %s: %w", name, err)
	}
	return mark, nil
}

// leave notes that a JobDB is not dropped, and says so once.
func (m *Manager) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.restored[name] {
		m.mu.restored[name] = true
		m.o.Logger.Error("a JobDB is not dropped", "jobdb", name, "error", errRestored)
	}
}

// forgetRestored forgets of those that were left alone those that are gone.
func (m *Manager) forgetRestored(_ context.Context, v *view) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.mu.restored {
		r := find(v.records, name)
		if r == nil {
			delete(m.mu.restored, name)
		} else if _, there, known := v.file(r.Server, name); known && !there {
			delete(m.mu.restored, name)
		}
	}
	return nil
}
