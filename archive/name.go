package archive

import (
	"fmt"
	"strings"
	"time"

	"centrifuge"
)

// An archive object has a name of fixed shape, whose order is that of time:
//
//	2026/11/22/20/20261122T201500.000Z-OWNER-FIRSTJOBID
//
// It stands for up to three kinds of objects in the bucket, told apart by what
// follows the name.
const (
	dataExt    = ".ndjson.zst"
	indexExt   = ".idx.ndjson.zst"
	markExt    = ".replayed-" // then a hash, then dataExt
	folderForm = "2006/01/02/15/"
	stampForm  = "20060102T150405.000Z"
	idLen      = 27
	maxOwner   = 64
)

// ObjectName names the object for jobs that owner archives at the given time,
// the first of which is first. The name is unique as long as a job is given to
// one object only; it sorts by time, to the millisecond. What an owner's name has
// besides ASCII letters, digits, '-' and '_' becomes '_', and at most 64 bytes
// of it are used.
func ObjectName(at time.Time, owner string, first centrifuge.ID) string {
	safe := []byte(owner[:min(len(owner), maxOwner)])
	for i, c := range safe {
		if !nameByte(c) {
			safe[i] = '_'
		}
	}
	if len(safe) == 0 {
		safe = []byte{'_'}
	}
	return timePrefix(at) + "-" + string(safe) + "-" + first.String()
}

// timePrefix is what the names of objects of that millisecond begin with.
func timePrefix(at time.Time) string {
	at = at.UTC()
	return at.Format(folderForm) + at.Format(stampForm)
}

// checkObjectName returns the time in a name that ObjectName made.
func checkObjectName(name string) (time.Time, error) {
	at, ok := parseObjectName(name)
	if !ok {
		return at, fmt.Errorf("%q is not the name of an archive object", name)
	}
	return at, nil
}

func parseObjectName(name string) (at time.Time, ok bool) {
	const stampAt, ownerAt = len(folderForm), len(folderForm) + len(stampForm)
	if len(name) < ownerAt+len("-o-")+idLen || CheckName(name) != nil {
		return time.Time{}, false
	}
	at, err := time.Parse(stampForm, name[stampAt:ownerAt])
	if err != nil || timePrefix(at) != name[:ownerAt] {
		return time.Time{}, false
	}
	owner, id := name[ownerAt:len(name)-idLen], name[len(name)-idLen:]
	if owner[0] != '-' || owner[len(owner)-1] != '-' || strings.ContainsAny(owner, "./") {
		return time.Time{}, false
	}
	_, err = centrifuge.ParseID(id)
	return at, err == nil
}

// splitName parts a name in the bucket into the archive object's name, with its
// time, and what follows. ok is false if the name is none of the archive's.
func splitName(stored string) (object string, at time.Time, ext string, ok bool) {
	const ownerAt = len(folderForm) + len(stampForm)
	if len(stored) < ownerAt {
		return "", time.Time{}, "", false
	}
	dot := strings.IndexByte(stored[ownerAt:], '.')
	if dot < 0 {
		return "", time.Time{}, "", false
	}
	object, ext = stored[:ownerAt+dot], stored[ownerAt+dot:]
	at, ok = parseObjectName(object)
	return object, at, ext, ok
}
