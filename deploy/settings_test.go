package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// flagsOf are the flags that a command of the binary has.
func flagsOf(t *testing.T, command string) map[string]bool {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, path)
	}
	out, err := exec.CommandContext(t.Context(), path, command, "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "centrifuge "+command) {
		t.Fatalf("centrifuge %s --help: %v\n%s", command, err, out)
	}
	flags := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-z0-9-]+)`).FindAllStringSubmatch(string(out), -1) {
		flags[m[1]] = true
	}
	return flags
}

// Every setting that a file here gives to a role is a flag of that role.
func TestSettingsExist(t *testing.T) {
	type use struct {
		role string
		from string   // a file of settings, or what has the arguments
		args []string // of the command line, after the role
		keys []string // of a file of settings
		env  []string
	}
	var uses []use

	var compose struct {
		Services map[string]struct {
			Command     []string
			Environment map[string]string
		}
	}
	read(t, "compose/compose.yaml", &compose)
	for name, s := range compose.Services {
		if len(s.Command) > 0 && (s.Command[0] == "director" || s.Command[0] == "manager") {
			u := use{role: s.Command[0], from: "compose: " + name, args: s.Command[1:], keys: keysOf(t, "compose/centrifuge.yaml")}
			for key := range s.Environment {
				u.env = append(u.env, key)
			}
			uses = append(uses, u)
		}
	}

	for _, role := range []string{"director", "manager"} {
		var deployment struct {
			Spec struct {
				Template struct {
					Spec struct {
						Containers []struct{ Args []string }
					}
				}
			}
		}
		read(t, "kubernetes/"+role+".yaml", &deployment) // the first document
		args := deployment.Spec.Template.Spec.Containers[0].Args
		if args[0] != role {
			t.Errorf("kubernetes/%s.yaml runs %s", role, args[0])
		}
		uses = append(uses, use{role: role, from: "kubernetes: " + role, args: args[1:], keys: keysOf(t, "kubernetes/centrifuge.yaml")})
	}

	unit, err := os.ReadFile("systemd/centrifuge.service")
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=\S+ (\w+) (.*)$`).FindSubmatch(unit)
	if start == nil {
		t.Fatal("the unit starts nothing")
	}
	uses = append(uses, use{role: string(start[1]), from: "systemd", args: strings.Fields(string(start[2]))})

	image, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var ofImage []string
	for _, m := range regexp.MustCompile(`(?m)^ENV (CENTRIFUGE_\w+)=`).FindAllSubmatch(image, -1) {
		ofImage = append(ofImage, string(m[1]))
	}
	uses = append(uses, use{role: "serve", from: "docker", env: ofImage})

	if len(uses) != 8 {
		t.Errorf("%d uses of the binary were found, want 8", len(uses))
	}
	for _, u := range uses {
		flags := flagsOf(t, u.role)
		wanted := u.keys
		for _, a := range u.args {
			if name, ok := strings.CutPrefix(a, "--"); ok {
				name, _, _ = strings.Cut(name, "=")
				wanted = append(wanted, name)
			}
		}
		for _, key := range u.env {
			if name, ok := strings.CutPrefix(key, "CENTRIFUGE_"); ok {
				wanted = append(wanted, strings.ToLower(strings.ReplaceAll(name, "_", "-")))
			}
		}
		if len(wanted) == 0 {
			t.Errorf("%s: no settings were found", u.from)
		}
		for _, name := range wanted {
			if !flags[name] {
				t.Errorf("%s: centrifuge %s has no flag --%s", u.from, u.role, name)
			}
		}
	}
}

func keysOf(t *testing.T, path string) (keys []string) {
	t.Helper()
	settings := map[string]any{}
	read(t, path, &settings)
	for key := range settings {
		keys = append(keys, key)
	}
	return keys
}
