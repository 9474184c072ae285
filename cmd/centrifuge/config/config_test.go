package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// options has a flag of each kind that a command uses.
type options struct {
	listen   string
	networks []string
	interval time.Duration
	jobs     int
	pprof    bool
	config   string
}

func flags(o *options) *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.StringVar(&o.listen, "listen", "default:1", "")
	fs.StringSliceVar(&o.networks, "allow-network", nil, "")
	fs.DurationVar(&o.interval, "commit-interval", time.Second, "")
	fs.IntVar(&o.jobs, "max-in-flight", 7, "")
	fs.BoolVar(&o.pprof, "pprof", false, "")
	fs.StringVar(&o.config, FileFlag, "", "")
	return fs
}

func env(vars ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "centrifuge.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrecedence(t *testing.T) {
	const file = "listen: file:1\nmax-in-flight: 1_000\nallow-network: [10.0.0.0/8, 192.168.0.0/16]\n"
	for _, tc := range []struct {
		name     string
		args     []string
		env      []string
		file     string
		listen   string
		jobs     int
		networks []string
	}{
		{name: "default", listen: "default:1", jobs: 7},
		{name: "file", file: file, listen: "file:1", jobs: 1000, networks: []string{"10.0.0.0/8", "192.168.0.0/16"}},
		{
			name: "environment before file", file: file,
			env:    []string{"CENTRIFUGE_LISTEN=env:1", "CENTRIFUGE_ALLOW_NETWORK=127.0.0.0/8,::1/128"},
			listen: "env:1", jobs: 1000, networks: []string{"127.0.0.0/8", "::1/128"},
		},
		{
			name: "flag before environment and file", file: file,
			env:    []string{"CENTRIFUGE_LISTEN=env:1", "CENTRIFUGE_MAX_IN_FLIGHT=2", "CENTRIFUGE_ALLOW_NETWORK=::1/128"},
			args:   []string{"--listen", "flag:1", "--allow-network=1.0.0.0/8", "--allow-network=2.0.0.0/8"},
			listen: "flag:1", jobs: 2, networks: []string{"1.0.0.0/8", "2.0.0.0/8"},
		},
		{name: "a flag that repeats the default", file: file, args: []string{"--max-in-flight=7"}, listen: "file:1", jobs: 7, networks: []string{"10.0.0.0/8", "192.168.0.0/16"}},
		{name: "an empty variable", env: []string{"CENTRIFUGE_LISTEN="}, listen: "default:1", jobs: 7},
		{name: "a scalar for a list", file: "allow-network: 10.0.0.0/8", listen: "default:1", jobs: 7, networks: []string{"10.0.0.0/8"}},
		{name: "an empty file", file: "# nothing\n", listen: "default:1", jobs: 7},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o options
			fs := flags(&o)
			if tc.file != "" {
				tc.env = append(tc.env, "CENTRIFUGE_CONFIG="+write(t, tc.file))
			}
			if err := fs.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			if err := Fill(fs, env(tc.env...)); err != nil {
				t.Fatal(err)
			}
			if o.listen != tc.listen || o.jobs != tc.jobs || !slices.Equal(o.networks, tc.networks) {
				t.Errorf("got listen %q, max-in-flight %d, allow-network %q", o.listen, o.jobs, o.networks)
			}
		})
	}
}

func TestMistakesSayWhereAndWhat(t *testing.T) {
	for _, tc := range []struct {
		name, file, env string
		want            []string
	}{
		{name: "unknown key", file: "pprof: true\nlistn: x\n", want: []string{"centrifuge.yaml:2", `"listn"`, `did you mean "listen"?`}},
		{name: "far from any key", file: "xyzzyxyzzy: 1\n", want: []string{"centrifuge.yaml:1", `"xyzzyxyzzy"`, "names of the flags"}},
		{name: "underscores", file: "max_in_flight: 1\n", want: []string{`did you mean "max-in-flight"?`}},
		{name: "a file that names a file", file: "config: other.yaml\n", want: []string{"unknown key"}},
		{name: "wrong type", file: "\nmax-in-flight: many\n", want: []string{"centrifuge.yaml:2", "max-in-flight", "many"}},
		{name: "no value", file: "listen:\n", want: []string{"centrifuge.yaml:1", "listen: has no value"}},
		{name: "list for one value", file: "listen: [a, b]\n", want: []string{"listen: takes one value"}},
		{name: "mapping for a value", file: "listen: {a: b}\n", want: []string{"listen: want a value"}},
		{name: "twice", file: "listen: a\nlisten: b\n", want: []string{"centrifuge.yaml:2", "line 1"}},
		{name: "not a mapping", file: "- a\n", want: []string{"centrifuge.yaml:1", "key: value"}},
		{name: "two documents", file: "listen: a\n---\nlisten: b\n", want: []string{"more than one document"}},
		{name: "not YAML", file: "a: b: c\n", want: []string{"centrifuge.yaml: yaml: mapping values"}},
		{name: "environment", env: "CENTRIFUGE_COMMIT_INTERVAL=2", want: []string{"CENTRIFUGE_COMMIT_INTERVAL", `"2"`}},
		{name: "no such file", env: "CENTRIFUGE_CONFIG=/nowhere/c.yaml", want: []string{"/nowhere/c.yaml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o options
			fs := flags(&o)
			vars := []string{tc.env}
			if tc.file != "" {
				vars = append(vars, "CENTRIFUGE_CONFIG="+write(t, tc.file))
			}
			err := Fill(fs, env(vars...))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"listn", "listen", 1}, {"kitten", "sitting", 3}, {"abc", "abc", 0}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "#", "listen: a\nallow-network: [b, c]\n", "a: &x b\nc: *x\n", "? [a]\n: b\n", "a: !!binary x\n", "a: |\n  b\n", "{a: b}", "---\n---\n", "<<: {a: b}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := parse("f", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("error %q does not begin with the file's name", err)
			}
			return
		}
		for _, s := range settings {
			if s.key == "" || (!s.list && len(s.values) != 1) || !strings.HasPrefix(s.at, "f:") {
				t.Errorf("bad setting %+v", s)
			}
		}
	})
}
