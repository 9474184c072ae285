package archivetest

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"centrifuge/archive"
)

// Memory is a Bucket without a disk, for tests of what stands on one. The zero
// Memory is empty and ready.
type Memory struct {
	mu struct {
		sync.Mutex
		objects map[string][]byte
	}
}

// Put implements [archive.Bucket].
func (m *Memory) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.objects == nil {
		m.mu.objects = map[string][]byte{}
	}
	m.mu.objects[name] = slices.Clone(data)
	return nil
}

// Get implements [archive.Bucket].
func (m *Memory) Get(ctx context.Context, name string) ([]byte, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.mu.objects[name]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", name, fs.ErrNotExist)
	}
	return slices.Clone(data), nil
}

// List implements [archive.Bucket].
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.Lock()
		names := slices.Sorted(maps.Keys(m.mu.objects))
		m.mu.Unlock()
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if name > after && strings.HasPrefix(name, prefix) && !yield(name, nil) {
				return
			}
		}
	}
}

// Remove takes an object away, as an operator might.
func (m *Memory) Remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.objects, name)
}

func check(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return archive.CheckName(name)
}
