// Package schedule decides which job is sent next. It owns the virtual queues,
// one for each source and destination, and with them everything that holds a
// job back: fairness and weights, rates, concurrency, the outage controller,
// and the wheel in which failed jobs wait for their retry.
//
// It is pure. It takes the time as an argument, starts no goroutine, does no
// I/O and keeps nothing of a job but its ID and its times. Nothing in it is
// safe for concurrent use: its owner guards it with a lock of its own.
//
// What it guarantees:
//
//   - A job that was put in comes out exactly once, by [Scheduler.Pick] or by
//     [Scheduler.Expired]; never before its retry time and never by Pick once its
//     expiry has come.
//   - Destinations share by weight, and within one its sources do, by
//     virtual time: a queue that was idle is served at once, without waiting for
//     a round of all the others.
//   - A queue that may not send (empty, paused, at its limit, out of tokens,
//     held by Retry-After, behind an open breaker) costs Pick nothing; it comes
//     back by a timer or by the event that frees it.
//   - No destination can take all that may be in flight: it holds at most as
//     many requests as are still free (Choudhury & Hahne, "Dynamic Queue Length
//     Thresholds for Shared-Memory Packet Switches", 1998), so that n greedy
//     ones leave 1/(n+1) of the room to the others.
//   - In any window of length w a bucket lets go at most burst + rate·w jobs.
//
// Times are kept in ticks of 50 ms from a day before the Scheduler was made,
// for 6.8 years. Retry and expiry follow the wall clock, forward and backward;
// rates, holds and probes follow the time that passes and do not go back.
package schedule
