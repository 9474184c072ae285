package rpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"centrifuge/director"
)

func TestShutdownWaitsForCalls(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	backend := &fake{submit: func(context.Context, director.Submission) (director.Receipt, error) {
		close(entered)
		<-release
		return director.Receipt{TransactionID: "done"}, nil
	}}
	address, stop := start(t, Options{Backends: backend.backends()})

	answered := make(chan string, 1)
	go func() {
		_, _, content := post(t, address, submitPath, `{}`)
		answered <- content
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The listener closes at once, while the call is still under way.
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("the server ended with a call under way: %v", err)
	default:
	}
	close(release)
	if got := <-answered; !strings.Contains(got, "done") {
		t.Errorf("the call under way was answered %s", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestShutdownCutsOffWhatOutlastsTheGrace(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan error, 1)
	backend := &fake{submit: func(ctx context.Context, _ director.Submission) (director.Receipt, error) {
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return director.Receipt{}, ctx.Err()
	}}
	address, stop := start(t, Options{Backends: backend.backends(), ShutdownGrace: time.Millisecond, CallTimeout: time.Hour})
	answered := make(chan error, 1)
	go func() {
		resp, err := client(t).Do(newRequest(t, "POST", "http://"+address+submitPath, strings.NewReader("{}"),
			"Content-Type", "application/json"))
		if err == nil {
			resp.Body.Close()
		}
		answered <- err
	}()
	<-entered
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("serve returned %v, want that calls were cut off", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v, want it cancelled", err)
	}
	<-answered
}

// A call that waits for its body cannot be told to end; its connection is closed.
func TestShutdownClosesConnectionsThatHang(t *testing.T) {
	address, stop := start(t, Options{ShutdownGrace: time.Millisecond, ReadTimeout: time.Hour})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST "+submitPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("serve returned %v, want that calls were cut off", err)
	}
	if _, err := io.Copy(io.Discard, answer); err != nil { // ends only because the server hangs up
		t.Logf("the connection ended with: %v", err)
	}
}
