package costs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// usage is what processes have used up so far.
type usage struct {
	cpu     time.Duration
	written int64 // bytes that went, or are to go, to a disk
}

func (u usage) minus(v usage) usage { return usage{u.cpu - v.cpu, u.written - v.written} }

// used is the usage of a process; 0 is this one.
func used(b *testing.B, pid int) (u usage) {
	b.Helper()
	if pid == 0 {
		pid = os.Getpid()
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	u.cpu = time.Duration(number(b, fields[11])+number(b, fields[12])) * 10 * time.Millisecond // of the clock's 100 ticks a second
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(io)) {
		if value, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			u.written = number(b, strings.TrimSpace(value))
		}
	}
	return u
}

func number(b *testing.B, text string) int64 {
	b.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func pidOf(b *testing.B, path string) int {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return int(number(b, strings.TrimSpace(string(data))))
}

// stored is the size of the files in a folder.
func stored(b *testing.B, folder string) (bytes int64) {
	b.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// heap is the memory that is reachable.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers let go of
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
