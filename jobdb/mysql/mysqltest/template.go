// Package mysqltest starts MariaDB servers for tests: real ones, each on a free
// port of the loopback interface with a data folder of its own, ended with the
// test. They are MySQL's if the environment variable MYSQLD names its program. It
// also has a [Proxy] to put between a server and its clients.
package mysqltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"testing"
)

// template is a data folder that servers get a copy of: making one takes more
// than a second, copying it a tenth of that.
var template struct { //nolint:gochecknoglobals // a test binary makes it once, and its TestMain removes it
	sync.Mutex
	folder string // of this binary; "" outside Main
	err    error
	made   bool
}

// Main runs the tests of a binary that calls [Start], for its TestMain, and
// returns the code to exit with.
func Main(m *testing.M) int {
	folder, err := os.MkdirTemp("", "mysqltest")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the servers' template:", err)
		return 1
	}
	template.folder = folder
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, "remove the servers' template:", err)
		return 1
	}
	return code
}

// fromTemplate copies the template, which is made if there is none yet.
func fromTemplate(dataFolder string) error {
	template.Lock()
	defer template.Unlock()
	if template.folder == "" {
		return errors.New("TestMain must run the tests with mysqltest.Main")
	}
	from := filepath.Join(template.folder, "data")
	if !template.made {
		template.made = true
		template.err = makeTemplate(from)
	}
	if template.err != nil {
		return template.err
	}
	return os.CopyFS(dataFolder, os.DirFS(from))
}

func makeTemplate(folder string) error {
	name, err := osUser()
	if err != nil {
		return err
	}
	if output, err := chosen().install(name, folder); err != nil {
		return fmt.Errorf("%w: %w: %s", errNoServer, err, output)
	}
	return nil
}

// program finds a program where it is searched for, or where distributions put
// servers, which need not be in the PATH of those who are not root.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

func osUser() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}
