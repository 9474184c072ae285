package watch

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFilesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		one, two := filepath.Join(t.TempDir(), "1"), filepath.Join(t.TempDir(), "2")
		write := func(path, content string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(Recheck)
		}
		write(one, "a")
		write(two, "b")
		parsed := 0
		value, err := Files(slog.New(slog.NewTextHandler(&logged, nil)), func(contents [][]byte) (string, error) {
			parsed++
			if text := string(contents[0]) + string(contents[1]); text != "bad" {
				return text, nil
			}
			return "", errors.New("is bad")
		}, one, two)
		if err != nil || value.Get() != "ab" {
			t.Fatalf("read are %q, %v", value.Get(), err)
		}
		write(two, "c")
		if value.Get() != "ac" {
			t.Errorf("after a change read are %q", value.Get())
		}
		for range 3 {
			write(one, "ba")
			write(two, "d")
			if value.Get() != "ac" {
				t.Errorf("what cannot be used was taken: %q", value.Get())
			}
		}
		if parsed != 3 || strings.Count(logged.String(), "cannot be used") != 1 {
			t.Errorf("parsed %d times, with the log\n%s", parsed, &logged)
		}
		write(one, "x")
		if value.Get() != "xd" {
			t.Errorf("after it was mended read are %q", value.Get())
		}
	})
}

func TestWhatCannotBeReadAtFirst(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	parse := func([][]byte) (string, error) { return "", errors.New("is bad") }
	path := filepath.Join(t.TempDir(), "f")
	if _, err := Files(logger, parse, path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	for content, want := range map[string]string{"x": "is bad", strings.Repeat("x", MaxFile+1): "is larger than"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Files(logger, parse, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.5s…: %v", content, err)
		}
	}
}
