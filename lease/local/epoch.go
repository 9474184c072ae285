package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// advance makes the next epoch durable and returns it. The caller holds the lock.
func advance(dir string) (uint64, error) {
	last, err := readEpoch(dir)
	if err != nil {
		return 0, err
	}
	if err := writeEpoch(dir, last+1); err != nil {
		return 0, fmt.Errorf("record epoch %d: %w", last+1, err)
	}
	return last + 1, nil
}

// readEpoch returns the epoch of the last holder, 0 if there was none.
func readEpoch(dir string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(dir, epochName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	epoch, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s is damaged: %w", epochName, err)
	}
	return epoch, nil
}

// writeEpoch replaces the epoch file: after a crash at any point it holds the old
// epoch or the new one, and after a nil return the new one.
func writeEpoch(dir string, epoch uint64) error {
	next := filepath.Join(dir, epochName+".next")
	if err := writeSynced(next, strconv.FormatUint(epoch, 10)+"\n"); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(dir, epochName)); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func writeSynced(name, text string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
