package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The folder of the binary that the tests build, and start.
func TestMain(m *testing.M) { os.Exit(inTemp(m)) }

func inTemp(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "centrifuge-deploy-"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(buildDir) }()
	return m.Run()
}

var buildDir string

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "centrifuge")
	out, err := exec.Command("go", "build", "-o", path, "centrifuge/cmd/centrifuge").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

// read reads the first document of a YAML file.
func read(t *testing.T, path string, into any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := yaml.NewDecoder(f).Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
