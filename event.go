package centrifuge

// Event is a transition that is durable, with its job: what somebody who only
// watches is told.
type Event struct {
	Job  *Job  // at least its id, queue and times; the rest if it was at hand
	From State // where it stood before; 0 if it was just accepted
	Step Transition
}
