package powerloss

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sector is what a disk writes whole.
const sector = 512

// file is what a disk may hold of one file.
type file struct {
	synced  []byte
	pending []*op // writes and truncations since
	named   int   // where in the disk's names it got its own
}

// disk is what was written and what of it is durable.
type disk struct {
	random *rand.Rand
	now    map[string]*file // as processes see them
	names  []naming         // changes of names, in order
	syncs  map[string]int   // of a thread: how many writes, or names, its sync under way is for
}

// naming gives a file a name, or with nil takes it away; a rename does both.
type naming struct {
	name string
	file *file
	old  string

	durable bool
}

func newDisk(random *rand.Rand) *disk {
	return &disk{random: random, now: make(map[string]*file), syncs: make(map[string]int)}
}

func (d *disk) name(n naming) {
	n.apply(d.now)
	if n.file != nil {
		n.file.named = len(d.names)
	}
	d.names = append(d.names, n)
}

func (n *naming) apply(names map[string]*file) {
	delete(names, n.old)
	if n.file == nil {
		delete(names, n.name)
	} else {
		names[n.name] = n.file
	}
}

func (d *disk) do(o *op) {
	f := d.now[o.name]
	switch o.kind {
	case opCreate:
		if f == nil {
			d.name(naming{name: o.name, file: &file{}})
		}
	case opWrite, opTruncate:
		if f != nil {
			f.pending = append(f.pending, o)
		}
	case opRename:
		if f != nil {
			d.name(naming{name: o.to, file: f, old: o.name})
		}
	case opUnlink:
		if f != nil {
			d.name(naming{name: o.name})
		}
	case opSyncBegins:
		d.syncs[o.thread] = len(d.names)
		if f != nil {
			d.syncs[o.thread] = len(f.pending)
		}
	case opSynced, opSyncFailed:
		d.sync(f, o)
	case opSay:
	}
}

// sync makes durable what was there when the sync began: a file's data and its name,
// and of a folder all names.
func (d *disk) sync(f *file, o *op) {
	n, failed := d.syncs[o.thread], o.kind == opSyncFailed
	switch {
	case f == nil && !failed:
		for i := range d.names[:n] {
			d.names[i].durable = true
		}
	case f != nil:
		n = min(n, len(f.pending)) // another thread may have synced it meanwhile
		for _, w := range f.pending[:n] {
			if !failed {
				f.synced = w.apply(f.synced, nil)
			} else if d.random.IntN(2) == 0 {
				f.synced = w.apply(f.synced, d.random)
			}
		}
		f.pending = slices.Clone(f.pending[n:])
		if !failed {
			d.names[f.named].durable = true
		}
	}
}

// cut returns the files that are left, by their names.
func (d *disk) cut() map[string][]byte {
	names := make(map[string]*file)
	for _, n := range d.names {
		if n.durable || d.random.IntN(2) == 0 {
			n.apply(names)
		}
	}
	left := make(map[string][]byte)
	odds := d.random.Float64() // from nothing to all
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		data := slices.Clone(f.synced)
		for _, w := range f.pending {
			if d.random.Float64() < odds {
				data = w.apply(data, d.random)
			}
		}
		left[name] = data
	}
	return left
}

// apply does a write or a truncation, with random torn between sectors now and then.
func (o *op) apply(data []byte, random *rand.Rand) []byte {
	if o.kind == opTruncate {
		return resize(data, o.offset)
	}
	from, to := 0, len(o.data)
	if random != nil && len(o.data) > sector && random.IntN(4) == 0 {
		if at := sector * (1 + random.IntN((len(o.data)-1)/sector)); random.IntN(2) == 0 {
			to = at
		} else {
			from = at
		}
	}
	if end := o.offset + to; end > len(data) {
		data = resize(data, end)
	}
	copy(data[o.offset+from:o.offset+to], o.data[from:to])
	return data
}

func resize(data []byte, size int) []byte {
	if size <= len(data) {
		return data[:size]
	}
	return append(data, make([]byte, size-len(data))...)
}
