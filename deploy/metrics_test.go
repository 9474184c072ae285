package deploy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Every metric that an alert or the board names is exported by a running binary,
// with the labels that it is asked for.
func TestMetricsExist(t *testing.T) {
	exported := scrape(t)
	for _, file := range []string{"prometheus/alerts.yaml", "prometheus/alerts_test.yaml", "grafana/centrifuge.json"} {
		for _, expr := range expressions(t, file) {
			for _, m := range selector.FindAllStringSubmatch(expr, -1) {
				name, labels := m[1], m[2]
				family, ok := familyOf(exported, name)
				if !ok {
					t.Errorf("%s: nobody exports %s", file, name)
					continue
				}
				for _, l := range matcher.FindAllStringSubmatch(labels, -1) {
					if label := l[1]; !added[label] && !exported[family][label] {
						t.Errorf("%s: %s has no label %q, only %v", file, name, label, exported[family])
					}
				}
			}
		}
	}
}

var (
	selector = regexp.MustCompile(`\b((?:centrifuge|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*\\?["']`)

	added = map[string]bool{"job": true, "instance": true, "le": true} // by Prometheus; by histograms
)

// expressions are the strings of a file that ask for metrics.
func expressions(t *testing.T, path string) (exprs []string) {
	t.Helper()
	var document any
	if strings.HasSuffix(path, ".json") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &document); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	} else {
		read(t, path, &document)
	}
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				walk(k, inner)
			}
		case []any:
			for _, inner := range v {
				walk(key, inner)
			}
		case string:
			if key == "expr" || key == "series" || key == "query" {
				exprs = append(exprs, v)
			}
		}
	}
	walk("", document)
	if len(exprs) == 0 {
		t.Fatalf("%s asks for nothing", path)
	}
	return exprs
}

// familyOf is the metric that a series belongs to; those of a histogram have endings.
func familyOf(exported map[string]map[string]bool, series string) (string, bool) {
	for _, ending := range []string{"", "_bucket", "_sum", "_count"} {
		if family, ok := strings.CutSuffix(series, ending); ok && exported[family] != nil {
			return family, true
		}
	}
	return "", false
}

// scrape starts the binary with all roles, submits a job, and returns the metrics that
// it exports, each with its labels.
func scrape(t *testing.T) map[string]map[string]bool {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, path)
	}
	cmd := exec.CommandContext(t.Context(), path, "serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--log-format", "json", "--allow-network", "127.0.0.0/8")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	url := ""
	lines := bufio.NewScanner(stderr)
	for url == "" && lines.Scan() {
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
			url = "http://" + entry.Address
		}
	}
	if url == "" {
		t.Fatal("it does not listen")
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	ask := func(ctx context.Context, method, path, body string) string {
		req, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(resp.StatusCode, " ", string(answer))
	}
	for !strings.HasPrefix(ask(t.Context(), http.MethodGet, "/readyz", ""), "200") {
		if t.Context().Err() != nil {
			t.Fatal("it does not become ready")
		}
	}
	submitted := ask(t.Context(), http.MethodPost, "/centrifuge.v1.JobService/Submit", `{"jobs": [{"source": "s", "endpoint": "http://127.0.0.1:1/"}]}`)
	if !strings.HasPrefix(submitted, "200") {
		t.Fatalf("submit: %s", submitted)
	}
	exported := map[string]map[string]bool{}
	sample := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `)
	family := ""
	for line := range strings.Lines(ask(t.Context(), http.MethodGet, "/metrics", "")) {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(line, "200 "), "# TYPE "); ok {
			family, _, _ = strings.Cut(rest, " ")
			exported[family] = map[string]bool{}
			continue
		}
		if m := sample.FindStringSubmatch(line); m != nil && family != "" {
			for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
				exported[family][l[1]] = true
			}
		}
	}
	return exported
}
