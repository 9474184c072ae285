// Command centrifuge accepts HTTP jobs, makes them durable and delivers them to
// unreliable endpoints; see the command serve. Its other commands submit jobs,
// tell what became of them, and operate the queues.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is stamped by the linker.
var version string

func main() {
	// The first signal asks every command to end in order. From then on signals
	// are the system's again, so a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "centrifuge:", err)
	}
	os.Exit(exitCode(err))
}
