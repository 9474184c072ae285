package schedule

// fair shares turns among children, the destinations of the scheduler or the
// queues of a destination, in proportion to their weights.
//
// Each child has a tag, the virtual time at which its next turn begins; a turn
// of n jobs moves it on by n/weight, and the least tag is served. Virtual time
// advances with every turn by n over the sum of the weights, and a child that
// comes back begins there: it is served soon, and has no claim on turns it did
// not want (the virtual time of WF²Q+, Bennett and Zhang, 1996).
//
// Only children that may be served are active. Those that hold too much of what
// is free are set aside, least first, and come back one a turn.
type fair struct {
	active heap[float64] // by tag
	aside  heap[int32]   // by requests in flight
	gate   func(id uint32) *gate
	now    float64 // virtual time
	weight float64 // of the active children
}

func newFair(p *places, gate func(id uint32) *gate) fair {
	return fair{
		active: heap[float64]{place: p, column: columnActive},
		aside:  heap[int32]{place: p, column: columnAside},
		gate:   gate,
	}
}

// admit makes the child one that may be served. It stays where it is if it is
// one already.
func (f *fair) admit(id uint32) {
	g := f.gate(id)
	if f.aside.has(id) {
		f.aside.set(id, g.inFlight)
		return
	}
	if f.active.has(id) {
		return
	}
	g.tag = max(g.tag, f.now)
	f.active.set(id, g.tag)
	f.weight += weight(g.policy)
}

// dismiss takes the child out of the turns.
func (f *fair) dismiss(id uint32) {
	f.aside.remove(id)
	if !f.active.has(id) {
		return
	}
	f.active.remove(id)
	f.weight -= weight(f.gate(id).policy)
	if f.active.len() == 0 {
		f.weight = 0 // and the rounding errors with it
	}
}

// may reports whether next has a child to offer, as far as can be seen without
// looking at all of them.
func (f *fair) may(bound int32) bool { return f.active.len() > 0 || f.readmissible(bound) }

func (f *fair) readmissible(bound int32) bool {
	return f.aside.len() > 0 && f.aside.top().key < bound
}

// next is the child whose turn it is among those with fewer than bound requests
// in flight.
func (f *fair) next(bound int32) (uint32, bool) {
	for {
		if f.readmissible(bound) {
			id := f.aside.top().id
			f.aside.remove(id)
			f.admit(id)
		}
		if f.active.len() == 0 {
			return 0, false
		}
		id := f.active.top().id
		g := f.gate(id)
		if g.inFlight < bound {
			return id, true
		}
		f.dismiss(id)
		f.aside.set(id, g.inFlight)
	}
}

// serve accounts for a turn of n jobs of an active child.
func (f *fair) serve(id uint32, n int) {
	g := f.gate(id)
	f.now = max(f.now+float64(n)/f.weight, g.tag)
	g.tag += float64(n) / weight(g.policy)
	f.active.set(id, g.tag)
}
