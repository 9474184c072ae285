package visibility

import (
	"encoding/binary"
	"slices"

	"centrifuge"
)

// names gives numbers to queues, destinations and sources, since a number is shorter
// than a name and lets days be added up without comparing texts. A number means the
// same in all days; each day has the names of those that occur in it, so that it
// can be dropped with what only it knew.
//
// How many are told apart is bounded; the number 0 of each kind is that of [Other].
type names struct {
	limit int
	kinds [kindTotal]struct {
		ids  map[centrifuge.QueueKey]uint32
		keys []centrifuge.QueueKey // by id; the zero key where there is none (any more)
		free int                   // how many more may be added
		idle []uint32              // ids below len(keys) that stand for nothing any more
	}
	known []triple // by a queue's id: what give found for it last; zero if nothing
	days  map[Day]*named
}

// named says which ids of a day have their names stored in it.
type named struct {
	ids  [kindTotal]bitset
	rows int // how many rows of names it has
}

type bitset []uint64

func (b bitset) has(i uint32) bool { return int(i>>6) < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

func (b *bitset) set(i uint32) {
	for int(i>>6) >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i>>6] |= 1 << (i & 63)
}

func (b *bitset) or(other bitset) {
	for i, bits := range other {
		if i >= len(*b) {
			*b = append(*b, 0)
		}
		(*b)[i] |= bits
	}
}

// maxID is above every id that is ever given.
const maxID = 1 << 21

// triple is a queue with what it counts towards, as ids.
type triple [kindTotal]uint32

func newNames(limit int) *names {
	n := &names{limit: limit, days: make(map[Day]*named)}
	for k, other := range [kindTotal]centrifuge.QueueKey{
		kindQueue:       {Source: Other, Destination: Other},
		kindDestination: {Destination: Other},
		kindSource:      {Source: Other},
	} {
		n.kinds[k].ids = map[centrifuge.QueueKey]uint32{other: 0}
		n.kinds[k].keys = []centrifuge.QueueKey{other}
		n.kinds[k].free = limit
	}
	return n
}

// keyOf is what a kind knows of a queue's name.
func keyOf(k kind, queue centrifuge.QueueKey) centrifuge.QueueKey {
	switch k {
	case kindDestination:
		return centrifuge.QueueKey{Destination: queue.Destination}
	case kindSource:
		return centrifuge.QueueKey{Source: queue.Source}
	default:
		return queue
	}
}

// id finds the number of a name, if it has one.
func (n *names) id(k kind, key centrifuge.QueueKey) (uint32, bool) {
	id, ok := n.kinds[k].ids[key]
	return id, ok
}

// key is the name of a number.
func (n *names) key(k kind, id uint32) centrifuge.QueueKey {
	if int(id) < len(n.kinds[k].keys) {
		return n.kinds[k].keys[id]
	}
	return n.kinds[k].keys[0]
}

// give finds the queue's numbers, and gives it such as it lacks. A queue for which
// there is no number left is counted with the others in all three.
func (n *names) give(queue centrifuge.QueueKey) (ids triple) {
	id, ok := n.id(kindQueue, queue)
	if ok && int(id) < len(n.known) && n.known[id][kindQueue] == id {
		return n.known[id] // a queue's source and destination are known for as long as it is
	}
	for k := range kindTotal {
		if _, ok := n.kinds[k].ids[keyOf(k, queue)]; !ok && n.kinds[k].free <= 0 {
			return triple{}
		}
	}
	for k := range kindTotal {
		of := &n.kinds[k]
		next := uint32(len(of.keys))
		if len(of.idle) > 0 {
			next = of.idle[len(of.idle)-1]
		}
		if ids[k] = n.learn(k, keyOf(k, queue), next); ids[k] == next && len(of.idle) > 0 {
			of.idle = of.idle[:len(of.idle)-1]
		}
	}
	id = ids[kindQueue]
	n.known = slices.Grow(n.known, max(0, int(id)+1-len(n.known)))[:max(len(n.known), int(id)+1)]
	n.known[id] = ids
	return ids
}

// parents are the numbers that a queue's number counts towards.
func (n *names) parents(id uint32) (ids triple) {
	queue := n.key(kindQueue, id)
	for k := range kindTotal {
		ids[k], _ = n.id(k, keyOf(k, queue))
	}
	return ids
}

// learn returns the number of a name, which is id if it had none.
func (n *names) learn(k kind, key centrifuge.QueueKey, id uint32) uint32 {
	of := &n.kinds[k]
	if known, ok := of.ids[key]; ok {
		return known
	}
	for int(id) >= len(of.keys) {
		of.keys = append(of.keys, centrifuge.QueueKey{})
	}
	of.ids[key], of.keys[id] = id, key
	of.free--
	return id
}

func (n *names) day(d Day) *named {
	if n.days[d] == nil {
		n.days[d] = &named{}
	}
	return n.days[d]
}

// drop forgets a day, and the names that no other day has.
func (n *names) drop(d Day) {
	delete(n.days, d)
	for k := range n.kinds {
		of := &n.kinds[k]
		for key, id := range of.ids {
			if id != 0 && !n.anywhere(kind(k), id) {
				delete(of.ids, key)
				of.keys[id] = centrifuge.QueueKey{}
				if kind(k) == kindQueue && int(id) < len(n.known) {
					n.known[id] = triple{}
				}
				of.free++
				of.idle = append(of.idle, id)
			}
		}
	}
}

func (n *names) anywhere(k kind, id uint32) bool {
	for _, d := range n.days {
		if d.ids[k].has(id) {
			return true
		}
	}
	return false
}

// use begins to use names in a day: it gathers those that the day lacks.
func (n *names) use(d Day) *naming { return &naming{names: n, of: n.day(d)} }

// naming is the names that a Write uses.
type naming struct {
	names *names
	of    *named
	fresh [kindTotal]bitset
	row   []byte
}

// give is [names.give] for a queue that occurs in the day.
func (u *naming) give(queue centrifuge.QueueKey) triple {
	ids := u.names.give(queue)
	for k, id := range ids {
		if id != 0 && !u.of.ids[k].has(id) && !u.fresh[k].has(id) {
			u.fresh[k].set(id)
			u.row = u.names.appendName(u.row, kind(k), id)
		}
	}
	return ids
}

// put writes the names that the day lacks.
func (u *naming) put(w *Write) {
	if len(u.row) > 0 {
		w.put(key(spaceNames, 0, u.of.rows), u.row)
	}
}

// done notes that put's were written.
func (u *naming) done() {
	if len(u.row) == 0 {
		return
	}
	u.of.rows++
	for k := range u.fresh {
		u.of.ids[k].or(u.fresh[k])
	}
}

// rest finds the ids that stand for nothing, after all days were read.
func (n *names) rest() {
	for k := range n.kinds {
		of := &n.kinds[k]
		for id := len(of.keys) - 1; id > 0; id-- {
			if of.keys[id] == (centrifuge.QueueKey{}) {
				of.idle = append(of.idle, uint32(id))
			}
		}
	}
}

// appendName and readNames are one row of names: kind, id, source, destination,
// and so on.
func (n *names) appendName(b []byte, k kind, id uint32) []byte {
	key := n.key(k, id)
	b = append(b, byte(k))
	b = binary.AppendUvarint(b, uint64(id))
	return appendText(appendText(b, key.Source), key.Destination)
}

func (n *names) readNames(d Day, data []byte) error {
	r := reader{b: data}
	of := n.day(d)
	of.rows++
	for r.more() {
		k, id := kind(r.uvarint()), r.uvarint()
		name := centrifuge.QueueKey{Source: r.text(), Destination: r.text()}
		if r.err != nil {
			break
		}
		if k >= kindTotal || id == 0 || id > maxID {
			r.fail("name %d of kind %d", id, k)
			break
		}
		if n.learn(k, name, uint32(id)) != uint32(id) || n.key(k, uint32(id)) != name {
			r.fail("the number %d stands for two names", id)
			break
		}
		of.ids[k].set(uint32(id))
	}
	return r.err
}
