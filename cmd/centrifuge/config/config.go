// Package config completes a command's flags from the environment and a YAML
// file. The flags themselves, with their types and defaults, are the only list of
// what can be configured: a flag named max-in-flight is the environment variable
// CENTRIFUGE_MAX_IN_FLIGHT and the key max-in-flight.
package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// FileFlag is the flag that names the YAML file.
const FileFlag = "config"

// Env is the name of a flag's environment variable.
func Env(flag string) string {
	return "CENTRIFUGE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Fill gives each flag that the command line left alone the value of its
// environment variable or, failing that, of its key in the file that the flag
// named [FileFlag] names, if fs has one and it is not empty. A variable that is
// empty counts as absent; one for a flag that may be repeated holds its values
// between commas. Errors say where the value stands.
func Fill(fs *pflag.FlagSet, lookupEnv func(string) (string, bool)) error {
	if err := fillFromEnv(fs, lookupEnv); err != nil {
		return err
	}
	file := fs.Lookup(FileFlag)
	if file == nil || file.Value.String() == "" {
		return nil
	}
	settings, err := readFile(file.Value.String())
	if err != nil {
		return err
	}
	return fillFromFile(fs, settings)
}

func fillFromEnv(fs *pflag.FlagSet, lookupEnv func(string) (string, bool)) error {
	var failed error
	fs.VisitAll(func(f *pflag.Flag) {
		value, ok := lookupEnv(Env(f.Name))
		if failed != nil || f.Changed || !ok || value == "" {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			failed = fmt.Errorf("environment variable %s: %w", Env(f.Name), err)
		}
	})
	return failed
}

func fillFromFile(fs *pflag.FlagSet, settings []setting) error {
	for _, s := range settings {
		f := fs.Lookup(s.key)
		if f == nil || s.key == FileFlag || s.key == "help" {
			return fmt.Errorf("%s: unknown key %q%s", s.at, s.key, didYouMean(fs, s.key))
		}
		if f.Changed {
			continue // the command line or the environment has said it
		}
		if err := s.apply(fs, f); err != nil {
			return fmt.Errorf("%s: %s: %w", s.at, s.key, err)
		}
	}
	return nil
}

func (s *setting) apply(fs *pflag.FlagSet, f *pflag.Flag) error {
	if !s.list {
		return fs.Set(f.Name, s.values[0])
	}
	slice, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return fmt.Errorf("takes one value, not a list")
	}
	if err := slice.Replace(s.values); err != nil {
		return err
	}
	f.Changed = true
	return nil
}
