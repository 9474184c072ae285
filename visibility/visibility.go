// Package visibility remembers what became of deliveries: for each minute and
// queue, how many jobs were accepted, attempted, delivered, refused and archived,
// with which codes, at which attempt and how fast; and of each queue and code the
// latest few attempts as samples.
//
// A [Recorder] is told of every durable transition and counts in memory; every few
// seconds it hands what it counted to a [Store], which keeps it for a month and
// answers queries. Every number is exact. What could not be stored is marked as
// missing (see [Gap]), never estimated, and no failure here holds up a delivery.
package visibility
