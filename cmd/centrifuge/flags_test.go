package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"centrifuge/cmd/centrifuge/config"
)

// flagValues has a value for each flag of a role.
func flagValues() map[string]string {
	return map[string]string{
		"listen": "127.0.0.1:1", "data-dir": "/x", "archive": "s3://x", "token-file": "/t", "tls-cert": "/c", "tls-key": "/k",
		"open-metrics": "true", "pprof": "true", "max-connections": "11", "allow-network": "10.0.0.0/8,fd00::/8",
		"ca-file": "/a", "proxy": "http://p:1", "max-in-flight": "12", "max-per-destination": "13",
		"max-per-queue": "14", "max-pending": "15", "commit-interval": "16ms", "cache-size": "17MiB",
		"min-free-disk": "38MiB", "memory-limit": "19MiB", "shutdown-grace": "20s", "log-level": "DEBUG",
		"log-format": "json", "otlp-endpoint": "http://o:1", "spares": "21", "jobdb-max-size": "22MiB", "jobdb-max-age": "23m", "drains": "24",
		"jobdb-keep": "27h", "jobdb-keep-size": "28MiB",
		"alert-rules": "/r", "history": "mysql://h/s", "history-retention": "25h", "key-file": "/y", "public-url": "https://p.example",
		"oidc-issuer": "https://i.example", "oidc-client-id": "a", "oidc-client-secret-file": "/s", "oidc-command-client-id": "b", "oidc-mapping": "/m",
		"name": "n", "advertise": "http://h:1", "peer-ca-file": "/q", "consul": "c:1", "consul-prefix": "f", "lease-ttl": "26s",
		"mysql": "h1:1,h2:2", "mysql-user": "u", "mysql-password-file": "/w", "mysql-prefix": "x_", "mysql-tls": "true",
	}
}

// One value for each flag of serve, so that a flag whose type cannot be read from
// the environment or from YAML is found.
func TestEveryServeFlagIsConfigurable(t *testing.T) {
	values := flagValues()
	check := func(t *testing.T, o *serveOptions) {
		t.Helper()
		if len(o.allowNetworks) != 2 || o.cacheSize != 17<<20 || o.commitInterval != 16*time.Millisecond ||
			o.maxInFlight != 12 || o.spares != 21 || o.jobdbMaxSize != 22<<20 || o.jobdbMaxAge != 23*time.Minute || o.drains != 24 || !o.pprof || o.logLevel.String() != "DEBUG" || o.otlpEndpoint != "http://o:1" {
			t.Errorf("got %+v", o)
		}
	}
	newFlags := func(o *serveOptions) *pflag.FlagSet {
		fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		o.addTo(fs)
		return fs
	}

	var fromEnv serveOptions
	fs := newFlags(&fromEnv)
	fs.VisitAll(func(f *pflag.Flag) {
		if values[f.Name] == "" && f.Name != config.FileFlag {
			t.Errorf("no value for --%s here: add one", f.Name)
		}
		t.Setenv(config.Env(f.Name), values[f.Name])
	})
	if err := config.Fill(fs, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	check(t, &fromEnv)

	var yaml strings.Builder
	for name, value := range values {
		t.Setenv(config.Env(name), "")
		if fs.Lookup(name) == nil {
			continue // another role's
		}
		if strings.Contains(value, ",") {
			value = "[" + strings.ReplaceAll(value, "fd00::/8", `"fd00::/8"`) + "]"
		}
		yaml.WriteString(name + ": " + value + "\n")
	}
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(yaml.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var fromFile serveOptions
	fs = newFlags(&fromFile)
	if err := fs.Parse([]string{"--config", file}); err != nil {
		t.Fatal(err)
	}
	if err := config.Fill(fs, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	check(t, &fromFile)
}

// The roles of a fleet are configured by the same names.
func TestEveryRoleFlagIsConfigurable(t *testing.T) {
	values := flagValues()
	for name, value := range values {
		t.Setenv(config.Env(name), value)
	}
	for role, add := range map[string]func(*roleOptions, *pflag.FlagSet){
		"director": func(o *roleOptions, fs *pflag.FlagSet) { o.addDirectorTo(fs) },
		"manager":  func(o *roleOptions, fs *pflag.FlagSet) { o.addManagerTo(fs) },
	} {
		var o roleOptions
		fs := pflag.NewFlagSet(role, pflag.ContinueOnError)
		add(&o, fs)
		o.sharedOptions.addTo(fs)
		fs.VisitAll(func(f *pflag.Flag) {
			if values[f.Name] == "" && f.Name != config.FileFlag {
				t.Errorf("no value for --%s of %s here: add one", f.Name, role)
			}
		})
		if err := config.Fill(fs, os.LookupEnv); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		if len(o.mysql) != 2 || o.mysql[1] != "h2:2" || o.leaseTTL != 26*time.Second || !o.mysqlTLS || o.listen != "127.0.0.1:1" ||
			(o.spares == 21) != (role == "manager") || (o.maxInFlight == 12) != (role == "director") {
			t.Errorf("%s: got %+v", role, o)
		}
	}
}

// What a fleet cannot do without is asked for, and what cannot be is refused.
func TestRoleOptionsAreChecked(t *testing.T) {
	whole := []string{"--consul", "127.0.0.1:1", "--mysql", "127.0.0.1:1", "--archive", t.TempDir()}
	for _, role := range []string{"director", "manager"} {
		for mistake, args := range map[string][]string{
			"--mysql":         {"--archive", t.TempDir()},
			"--archive":       {"--mysql", "127.0.0.1:1"},
			"--lease-ttl":     append([]string{"--lease-ttl", "1s"}, whole...),
			"--consul-prefix": append([]string{"--consul-prefix", "a/b"}, whole...),
			"--advertise":     append([]string{"--advertise", "10.0.0.1:7800"}, whole...),
		} {
			r := call(t, "", append([]string{role}, args...)...)
			if r.code() != exitUsage || !strings.Contains(r.err.Error(), mistake) {
				t.Errorf("%s %v: exit code %d, error %v", role, args, r.code(), r.err)
			}
		}
	}
	for flag, value := range map[string]string{"--spares": "0", "--jobdb-max-size": "0", "--jobdb-max-age": "-1s", "--drains": "0", "--jobdb-keep": "-1s"} {
		for _, line := range [][]string{{"serve", "--data-dir", t.TempDir()}, append([]string{"manager"}, whole...)} {
			r := call(t, "", append(line, flag, value)...)
			if r.code() != exitUsage || !strings.Contains(r.err.Error(), flag) {
				t.Errorf("%s %s=%s: exit code %d, error %v", line[0], flag, value, r.code(), r.err)
			}
		}
	}
}

func TestConfigMistakesAreUsageErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("pprof: true\ndata-dri: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call(t, "", "serve", "--config", file)
	if r.code() != exitUsage || !strings.Contains(r.err.Error(), file+`:2: unknown key "data-dri"; did you mean "data-dir"?`) {
		t.Errorf("exit code %d, error %v", r.code(), r.err)
	}
	t.Setenv("CENTRIFUGE_TIMEOUT", "soon")
	r = call(t, "", "ledger")
	if r.code() != exitUsage || !strings.Contains(r.err.Error(), "CENTRIFUGE_TIMEOUT") {
		t.Errorf("exit code %d, error %v", r.code(), r.err)
	}
}

func FuzzFlagValues(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "::/0,1.2.3.4/32", "64MiB", "1e3", "K: V", ":", "2h", "http://u:p@h", "status"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var n networks
		if n.Set(text) == nil {
			var again networks
			if err := again.Replace(n.GetSlice()); err != nil || len(again) != len(n) {
				t.Errorf("networks %q became %v: %v", text, again, err)
			}
		}
		var b byteSize
		if b.Set(text) == nil && b < 0 {
			t.Errorf("size %q became %d", text, b)
		}
		if h, err := parseHeader(text); err == nil && (h.GetName() == "" || strings.ContainsAny(h.GetName(), ":")) {
			t.Errorf("header %q became %v", text, h)
		}
		if u, err := parseProxy(text); err == nil && text != "" && u.Host == "" {
			t.Errorf("proxy %q became %v", text, u)
		}
		cmd := newArchiveList(new(remote))
		var flags filterFlags
		for i := range filterTerms {
			if err := cmd.Flags().Set(filterTerms[i].key, text); err != nil {
				t.Fatal(err)
			}
			flags.values[i] = text
		}
		now := time.Unix(1_800_000_000, 0)
		if filter, err := flags.filter(cmd, now); err == nil && filter.GetSource() != text {
			t.Errorf("filter %q became %v", text, filter)
		}
	})
}
