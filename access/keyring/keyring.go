// Package keyring keeps the keys that a server seals sessions and customers' links
// with: what is sealed can be read and made by nobody who has not the key.
//
// The keys lie in a file, the newest first. The first seals; every one of them
// opens what it once sealed. A key is replaced by putting a new one before it, and
// what it sealed ends when it is taken out.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"centrifuge/internal/watch"
)

const (
	idBytes  = 4
	keyBytes = 32
)

// ErrSeal is the error of what no key of the ring has sealed for this purpose:
// it was changed, forged, sealed for another purpose, or its key is gone.
var ErrSeal = errors.New("was not sealed here, or its key is no longer in use")

type key struct {
	id     string
	secret []byte
}

// Ring is the keys of a file, read again within a second of its change. It is safe
// for concurrent use.
type Ring struct{ keys *watch.Value[[]key] }

// Open reads a file of keys. If it is not there, it is made, with one key, for its
// owner alone to read.
func Open(path string, logger *slog.Logger) (*Ring, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := write(path, []key{newKey()}); err != nil {
			return nil, fmt.Errorf("make the keys: %w", err)
		}
	}
	keys, err := watch.Files(logger, func(contents [][]byte) ([]key, error) { return parse(contents[0]) }, path)
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", path, err)
	}
	return &Ring{keys: keys}, nil
}

// Rotate puts a new key before those of a file, and, to end all that they sealed
// so far, takes them out.
func Rotate(path string, forget bool) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("rotate the keys: %w", err)
	}
	keys, err := parse(content)
	if err != nil {
		return fmt.Errorf("rotate the keys of %s: %w", path, err)
	}
	if forget {
		keys = nil
	}
	if err := write(path, append([]key{newKey()}, keys...)); err != nil {
		return fmt.Errorf("rotate the keys: %w", err)
	}
	return nil
}

// Seal makes a text of content that only [Ring.Open] for the same purpose can read,
// and that nobody can change. It has letters, digits and -_. only.
func (r *Ring) Seal(purpose string, content []byte) string {
	first := r.keys.Get()[0]
	sealed := first.sealer(purpose).Seal(nil, nil, content, nil)
	return first.id + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns the content of a sealed text, or [ErrSeal].
func (r *Ring) Open(purpose, text string) ([]byte, error) {
	id, encoded, _ := strings.Cut(text, ".")
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, ErrSeal
	}
	for _, k := range r.keys.Get() {
		if k.id != id {
			continue
		}
		if content, err := k.sealer(purpose).Open(nil, nil, sealed, nil); err == nil {
			return content, nil
		}
	}
	return nil, ErrSeal
}

// sealer is AES-256-GCM with a random nonce under a key of the purpose's own. None
// of its steps can fail with a key of the right length.
func (k key) sealer(purpose string) cipher.AEAD {
	derived, err := hkdf.Key(sha256.New, k.secret, nil, "centrifuge "+purpose, keyBytes)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic(err)
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealer
}

func newKey() key {
	random := make([]byte, idBytes+keyBytes)
	_, _ = rand.Read(random) // never fails
	return key{id: hex.EncodeToString(random[:idBytes]), secret: random[idBytes:]}
}

// parse reads lines of ID:SECRET, both in hexadecimal. Its errors never quote.
func parse(content []byte) ([]key, error) {
	var keys []key
	n := 0
	for line := range bytes.Lines(content) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		id, text, _ := strings.Cut(string(line), ":")
		idRaw, err := hex.DecodeString(id)
		secret, err2 := hex.DecodeString(text)
		if err != nil || err2 != nil || len(idRaw) != idBytes || len(secret) != keyBytes {
			return nil, fmt.Errorf("line %d: want %d and %d hexadecimal digits with a colon between them", n, 2*idBytes, 2*keyBytes)
		}
		keys = append(keys, key{id: strings.ToLower(id), secret: secret})
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key")
	}
	return keys, nil
}

// write replaces the file whole, so that whoever reads it sees the old or the new.
func write(path string, keys []key) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	lines := []string{"# Whoever has these can sign in as anybody. The first is in use; the others open what they sealed."}
	for _, k := range keys {
		lines = append(lines, k.id+":"+hex.EncodeToString(k.secret))
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
