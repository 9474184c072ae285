package consul_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"centrifuge/lease/consul"
	"centrifuge/lease/consul/consultest"
)

// holdURL tells the test binary to hold the lease "db" of the Consul there, instead
// of running tests.
const holdURL = "LEASE_TEST_CONSUL"

func TestMain(m *testing.M) {
	if url := os.Getenv(holdURL); url != "" {
		if err := hold(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hold prints its epoch; then, for each line of input, whether it acts as the
// holder or has lost the lease.
func hold(url string) error {
	c, err := consul.New(consul.Options{Address: url, TTL: 2 * short})
	if err != nil {
		return err
	}
	l, err := c.Acquire(context.Background(), "db")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, l.Epoch())
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		if l.Held() {
			fmt.Fprintln(os.Stdout, "acted")
		} else {
			fmt.Fprintln(os.Stdout, "lost")
		}
	}
	return input.Err()
}

// holder is another process that holds the lease "db".
type holder struct {
	cmd    *exec.Cmd
	input  io.Writer
	output *bufio.Reader
	epoch  uint64
}

func startHolder(t *testing.T, server *consultest.Server) *holder {
	t.Helper()
	h := &holder{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	h.cmd.Env = append(os.Environ(), holdURL+"="+server.URL())
	h.cmd.Stderr = os.Stderr
	input, err := h.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
	})
	h.input, h.output = input, bufio.NewReader(output)
	if h.epoch, err = strconv.ParseUint(h.says(t), 10, 64); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask has it take a step as the holder.
func (h *holder) ask(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(h.input, "act\n"); err != nil {
		t.Fatal(err)
	}
}

func (h *holder) says(t *testing.T) string {
	t.Helper()
	line, err := h.output.ReadString('\n')
	if err != nil {
		t.Fatalf("the holder said nothing: %v", err)
	}
	return strings.TrimSpace(line)
}
