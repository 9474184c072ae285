package visibility

import "context"

// Backend is where a [Store] keeps its days: an ordered map from keys to bytes for
// each. The implementations are visibility/sqlite, and visibility/mysql, where each
// of many writers has maps of its own.
//
// Methods return [ErrCorrupt] for a day that is damaged or that somebody took away.
// They are safe for concurrent use, except that there is one call of Write,
// Drop or SetAside at a time.
type Backend interface {
	View

	// Write deletes and then puts, all of it or nothing, and makes it durable. A
	// Write whose outcome is unknown may be repeated.
	Write(ctx context.Context, d Day, w *Write) error

	// Drop removes the day and all that is in it.
	Drop(ctx context.Context, d Day) error

	// SetAside removes a day that is damaged, but leaves what is left of it for
	// somebody to look at. An earlier one of the same day goes.
	SetAside(ctx context.Context, d Day) error

	// Close releases everything.
	Close() error
}

// View is what is read of a writer's days.
type View interface {
	// Days returns the days that there is something of, ascending.
	Days(ctx context.Context) ([]Day, error)

	// Scan calls f for each entry of the day with from <= key <= to, ascending, until
	// f fails, and returns what f did. The data is valid during the call. Of a day
	// that there is nothing of there are no entries.
	Scan(ctx context.Context, d Day, from, to uint64, f func(key uint64, data []byte) error) error
}

// Gatherer is a [View] of which each read costs something beside what is read, as a
// server's does. It reads many parts at one go.
type Gatherer interface {
	// Gather is Scan of several parts, which share no key, in any order.
	Gather(ctx context.Context, parts []Part, f func(d Day, key uint64, data []byte) error) error
}

// Part is all keys of a day from From to To, both included.
type Part struct {
	Day      Day
	From, To uint64
}

// Others is where the records of other writers are read, if many write to one place.
// Its method is safe for concurrent use.
type Others interface {
	// ReadOthers calls f with the records of all other writers that there is
	// something of, each as it was at one moment of the call.
	ReadOthers(ctx context.Context, f func([]OtherWriter) error) error
}

// OtherWriter is the record of another writer. Its View may be used until the call that
// gave it returns.
type OtherWriter struct {
	Number   uint64 // of the writer, which never means another
	Editions []Edition
	View
}

// Edition says of a day how old it is and which version of it is there. Both only
// grow; while Version is the same, so is all that is in the day.
type Edition struct {
	Day     Day
	Born    uint64 // changes when the day is dropped or set aside, and begun anew
	Version uint64
}

// Write is a change of one day.
type Write struct {
	Delete []KeyRange
	Put    []Entry
}

// KeyRange is all keys from From to To, both included.
type KeyRange struct{ From, To uint64 }

// Entry is a key and what is kept under it.
type Entry struct {
	Key  uint64
	Data []byte
}

func (w *Write) put(key uint64, data []byte) { w.Put = append(w.Put, Entry{key, data}) }

func (w *Write) delete(from, to uint64) { w.Delete = append(w.Delete, KeyRange{from, to}) }
