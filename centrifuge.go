// Package centrifuge is the vocabulary of the system: what a job is, which
// states it passes through, how an attempt is judged and when the next one is
// due. It does no I/O, starts no goroutine and reads no clock, and every other
// package speaks in its terms.
//
// The life of a job is a path through [State], written down as an append-only
// list of [Transition]. A job that was accepted always reaches exactly one
// terminal state: succeeded, discarded or archived (or moved, when its JobDB is
// drained and its life goes on in another).
package centrifuge
