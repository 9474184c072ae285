package archive

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// Bucket keeps objects by name. It is all that the archive asks of a store, and
// small enough for a folder and for object storage alike.
//
// Durability: what Put was given survives the death of the process and of the
// machine when Put returns nil, and is seen whole by every Get and List that
// begins after that. No reader ever sees a part of an object. When Put returns
// an error, the object may or may not be there; Put with the same arguments may
// be repeated until it returns nil.
//
// Names are those that [CheckName] accepts; every method refuses others. All
// methods are safe for concurrent use, by other processes too. The archive puts
// different data under one name only from one process at a time.
type Bucket interface {
	// Put makes data the object called name, in place of an earlier one. It does
	// not keep data.
	Put(ctx context.Context, name string, data []byte) error

	// Get returns the object, which the caller may change, or an error that wraps
	// [io/fs.ErrNotExist] if there is none.
	Get(ctx context.Context, name string) ([]byte, error)

	// List yields the names that begin with prefix and are greater than after, in
	// the order of their bytes. Either may be empty, and any string. Objects put
	// while it runs may be left out. After an error nothing more is yielded.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

const maxNameLen = 512

// CheckName reports why name cannot be that of an object: it must be of 1 to 512
// bytes, made of parts separated by single slashes, each of ASCII letters,
// digits, '-', '_' and '.', and none beginning with a dot. Such names mean the
// same to every store and cannot lead out of a folder.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("object name is empty")
	}
	if len(name) > maxNameLen {
		return fmt.Errorf("object name %.40q… has %d bytes, more than %d", name, len(name), maxNameLen)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' {
			return fmt.Errorf("object name %q: a part of it is empty or begins with a dot", name)
		}
		for i := range len(part) {
			if !nameByte(part[i]) && part[i] != '.' {
				return fmt.Errorf("object name %q: %q is not a letter, a digit, '-', '_' or '.'", name, part[i])
			}
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
