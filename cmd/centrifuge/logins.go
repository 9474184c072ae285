package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// login is a token that an identity provider gave for a server.
type login struct {
	Token  string    `json:"token"`
	Expiry time.Time `json:"expiry"`
}

// loginsFile is where logins are kept, by server.
func loginsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find your configuration folder: %w", err)
	}
	return filepath.Join(dir, "centrifuge", "logins.json"), nil
}

func readLogins() (map[string]login, error) {
	name, err := loginsFile()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]login{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read your logins: %w", err)
	}
	logins := map[string]login{}
	if err := json.Unmarshal(text, &logins); err != nil {
		return nil, fmt.Errorf("read your logins in %s: %w; remove the file and log in again", name, err)
	}
	return logins, nil
}

// savedLogin is the login for a server, or the zero login if there is none.
func savedLogin(server string) (login, error) {
	logins, err := readLogins()
	return logins[serverKey(server)], err
}

func saveLogin(server string, l login) error {
	return changeLogins(func(logins map[string]login) { logins[serverKey(server)] = l })
}

func forgetLogin(server string) error {
	return changeLogins(func(logins map[string]login) { delete(logins, serverKey(server)) })
}

// changeLogins replaces the file, which its owner alone can read from the first
// byte on. Logins that have expired are not kept.
func changeLogins(change func(map[string]login)) (err error) {
	logins, err := readLogins()
	if err != nil {
		return err
	}
	for server, l := range logins {
		if time.Now().After(l.Expiry) {
			delete(logins, server)
		}
	}
	change(logins)
	name, err := loginsFile()
	if err != nil {
		return err
	}
	text, err := json.Marshal(logins)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("save your login: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".logins-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("save your login: %w", err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("save your login: %w", err), os.Remove(file.Name()))
	}
	return nil
}

// serverKey is one name for each server, however its URL is spelled.
func serverKey(server string) string { return strings.ToLower(strings.TrimRight(server, "/")) }
