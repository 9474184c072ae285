// Package browser tests the dashboard as it is used: Chromium looks at the pages of
// the built program, which delivers real jobs to a receiver that misbehaves, and
// works the controls; what they did is then asked of the program over its API.
package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write the screenshots of the documentation into this `folder`")

// patience is how long something may take that takes milliseconds on an idle
// machine.
const patience = 60 * time.Second

var (
	buildDir string
	chrome   context.Context // the browser that all tests share
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "CENTRIFUGE_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "centrifuge-browser-"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(buildDir) }()
	profile, err := os.MkdirTemp(buildDir, "profile-")
	if err != nil {
		panic(err)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-features", "SpareRendererForSitePerProcess"), // a process more for each page, mostly in vain
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("hide-scrollbars", true),
		chromedp.UserDataDir(profile), chromedp.WSURLReadTimeout(patience),
	)
	defer stop()
	first, end := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	defer end()
	chrome = first //nolint:fatcontext // it is kept, as the tests need it
	if err := chromedp.Run(chrome); err != nil {
		fmt.Fprintf(os.Stderr, "start Chromium (make chromium installs it): %v\n", err)
		return 1
	}
	return m.Run()
}

// binary is the program as users have it, built once.
var binary = sync.OnceValues(func() (string, error) {
	if err := dependOnSources("../.."); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "centrifuge")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "centrifuge/cmd/centrifuge").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// dependOnSources looks at every folder of the sources, so that the go command does
// not take the last result of these tests for one that holds when the program has
// changed.
func dependOnSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") || strings.Contains(path, "visibility/web/"):
			_, err = os.Stat(path)
			return err
		default:
			return nil
		}
	})
}
