package archive

import "fmt"

// DamagedError names what is damaged. It wraps [ErrDamaged].
type DamagedError struct {
	Object string // the archive object
	Stored string // which of its parts, as the bucket names it
	Err    error  // what is wrong

	// MadeUpFor says that all it tells was found elsewhere: an index is made anew
	// from the records.
	MadeUpFor bool
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("archive object %s: %v: %v", e.Stored, ErrDamaged, e.Err)
}

// Unwrap lets [errors.Is] find [ErrDamaged] and what is wrong.
func (e *DamagedError) Unwrap() []error { return []error{ErrDamaged, e.Err} }
