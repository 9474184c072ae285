package fleet

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"centrifuge/client"
	"centrifuge/internal/e2e/program"
)

// member is a process of the fleet.
type member struct {
	*program.Process
	f          *fleet
	role, name string
	url        string
	client     *client.Client
}

// start starts a process and waits until it listens. Of flags that are given twice
// the last one counts.
func (f *fleet) start(role, name string, args ...string) *member {
	f.Helper()
	line := slices.Concat(f.inEnvironment(), []string{f.binary, role, "--name", name, "--consul", f.consul}, f.flags, args)
	m := &member{f: f, role: role, name: name, Process: program.Start(f.T, line...)}
	f.members = append(f.members, m)
	f.await("listening", func() (bool, string) {
		address, ok := m.Log.Address()
		m.url = "http://" + address
		return ok, name
	})
	var err error
	if m.client, err = client.New(client.Options{URL: m.url, RetryFor: -1}); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(m.client.Close)
	return m
}

// inEnvironment is the command by way of which processes are started in the fleet's
// environment, as a test that runs beside others cannot change its own.
func (f *fleet) inEnvironment() []string {
	via := []string{"env"}
	for name, value := range f.environment {
		via = append(via, name+"="+value)
	}
	return via
}

// ready reports whether the process says that it accepts jobs, and what else it
// says.
func (m *member) ready() (bool, string) {
	status, body := m.get("/readyz")
	return status == http.StatusOK, m.name + ": " + body
}

func (m *member) awaitReady() {
	m.f.Helper()
	m.f.await("ready", m.ready)
}

// get asks the process itself; status is 0 if it does not answer.
func (m *member) get(path string) (status int, body string) {
	m.f.Helper()
	req, err := http.NewRequestWithContext(m.f.ctx, http.MethodGet, m.url+path, nil)
	if err != nil {
		m.f.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// metric is the line of a metric that the process has now, "" if there is none.
func (m *member) metric(name string) string {
	m.f.Helper()
	_, text := m.get("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// stop ends the process with SIGTERM, which it must obey in good order.
func (m *member) stop() {
	m.f.Helper()
	m.end(syscall.SIGTERM)
	if err := m.Err(); err != nil {
		m.f.Errorf("%s after SIGTERM: %v\n%s", m.name, err, m.Log)
	}
}

// kill ends the process with SIGKILL.
func (m *member) kill() {
	m.f.Helper()
	m.end(syscall.SIGKILL)
}

// end waits for the end that the signal brings.
func (m *member) end(s syscall.Signal) {
	m.f.Helper()
	m.f.allLive()
	m.f.members = slices.DeleteFunc(m.f.members, func(other *member) bool { return other == m })
	m.Signal(s)
	select {
	case <-m.Ended:
	case <-m.f.ctx.Done():
		m.f.Fatalf("%s has still not ended\n%s", m.name, m.Log)
	}
}
