package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"centrifuge/jobdb"
)

const (
	walSuffix = "-wal"
	shmSuffix = "-shm"

	// modeImmutable opens a file that has no log without a trace.
	modeImmutable = "immutable"
)

const remedy = "move it away, with its " + walSuffix + " and " + shmSuffix +
	" if it has them, and a new one is made; or restore it from a backup"

// header is what the first 100 bytes of a JobDB say, https://sqlite.org/fileformat.html#the_database_header.
type header struct {
	pageSize int
	pages    int64
}

// inspect reads the header without SQLite, which would begin to recover or
// convert what it is given. It returns an error that wraps [os.ErrNotExist] if
// there is nothing yet.
func inspect(path string) (header, error) {
	wal, err := sizeOf(path + walSuffix)
	if err != nil {
		return header{}, err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && wal > 0 {
		return header{}, fmt.Errorf("%w: the file is missing, but its log %s is there; restore the file from a backup or move the log away",
			jobdb.ErrCorrupt, path+walSuffix)
	}
	if err != nil {
		return header{}, err
	}
	defer f.Close() //nolint:errcheck // read only
	var b [100]byte
	if _, err := io.ReadFull(f, b[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return header{}, fmt.Errorf("%w: the file is cut short; %s", jobdb.ErrCorrupt, remedy)
	} else if err != nil {
		return header{}, err
	}
	h, err := parseHeader(b[:])
	if err != nil {
		return header{}, err
	}
	if wal <= 0 { // otherwise the log may hold what the file lacks
		info, err := f.Stat()
		if err != nil {
			return header{}, err
		}
		if size := info.Size(); size%int64(h.pageSize) != 0 || size < h.pages*int64(h.pageSize) {
			return header{}, fmt.Errorf("%w: the file is cut short: it has %d bytes and should have %d; %s",
				jobdb.ErrCorrupt, size, h.pages*int64(h.pageSize), remedy)
		}
	}
	return h, nil
}

func parseHeader(b []byte) (header, error) {
	if string(b[:16]) != "SQLite format 3\x00" {
		return header{}, fmt.Errorf("%w: not a SQLite file; %s", jobdb.ErrCorrupt, remedy)
	}
	if id := binary.BigEndian.Uint32(b[68:]); id != applicationID {
		return header{}, fmt.Errorf("%w: a SQLite file of another application (id %#x); %s", jobdb.ErrCorrupt, id, remedy)
	}
	if v := binary.BigEndian.Uint32(b[60:]); v > schemaVersion {
		return header{}, newerSchema(int(v))
	} else if v == 0 {
		return header{}, fmt.Errorf("%w: its schema has no version; %s", jobdb.ErrCorrupt, remedy)
	}
	h := header{pageSize: int(binary.BigEndian.Uint16(b[16:])), pages: int64(binary.BigEndian.Uint32(b[28:]))}
	if h.pageSize == 1 {
		h.pageSize = 65536
	}
	if h.pageSize < 512 || h.pageSize&(h.pageSize-1) != 0 {
		return header{}, fmt.Errorf("%w: page size %d; %s", jobdb.ErrCorrupt, h.pageSize, remedy)
	}
	return h, nil
}

// verify reads the schema and each table's first row over a connection that
// cannot write, so that a damaged file is refused before anything changes it.
func verify(ctx context.Context, path string) error {
	mode := "ro"
	wal, err := sizeOf(path + walSuffix)
	if err != nil {
		return err
	}
	if wal <= 0 {
		mode = modeImmutable
	}
	shm, err := sizeOf(path + shmSuffix)
	if err != nil {
		return err
	}
	db, err := connect(path, mode, "busy_timeout(10000)")
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err = db.ExecContext(ctx, `SELECT * FROM `+table+` LIMIT 1`); err != nil {
			err = fmt.Errorf("%w: read table %s: %w; %s", jobdb.ErrCorrupt, table, err, remedy)
			break
		}
	}
	err = errors.Join(err, db.Close())
	if err != nil && shm < 0 {
		if rm := os.Remove(path + shmSuffix); !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}
	return err
}

// create makes the file under another name and gives it its own when it is
// whole and on the disk, so that a crash leaves no half of one.
func create(ctx context.Context, path string, tune tuning) error {
	unfinished := path + unfinishedSuffix
	if err := remove(unfinished); err != nil {
		return err
	}
	db, err := connect(unfinished, "rwc", fmt.Sprintf("page_size(%d)", tune.pageSize), "synchronous(FULL)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, fmt.Sprintf("PRAGMA journal_mode = WAL; BEGIN;\n%s\nPRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;",
		tune.schema, applicationID, schemaVersion))
	err = errors.Join(err, db.Close())
	if wal, serr := sizeOf(unfinished + walSuffix); err == nil && wal > 0 { // closing it says nothing
		err = errors.Join(errors.New("its log could not be brought into the file"), serr)
	}
	if err != nil {
		return errors.Join(explain(err, false), remove(unfinished))
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// renewLog writes the log anew, in its place, and syncs it. If a sync of it failed
// before, the kernel may show pages that never came to the disk and that no later
// sync would bring there; SQLite takes what it reads for durable and builds on it.
// The caller keeps all others from writing.
func renewLog(path string) error {
	f, err := os.OpenFile(path+walSuffix, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	piece := make([]byte, 1<<20)
	for offset := int64(0); err == nil; {
		var n int
		n, err = f.ReadAt(piece, offset)
		if n > 0 {
			if _, werr := f.WriteAt(piece[:n], offset); werr != nil {
				err = werr
			}
		}
		offset += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// remove removes a file of SQLite with those beside it, where they exist.
func remove(path string) error {
	var err error
	for _, name := range []string{path, path + walSuffix, path + shmSuffix} {
		if rm := os.Remove(name); !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}
	return err
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sizeOf is -1 for a file that is not there.
func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
