package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// run is the program: it runs the command that args name and returns its error,
// which [exitCode] judges.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !begun { // the arguments did not even name something to do
		err = &usageError{err}
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	}
	return err
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "centrifuge",
		Short: "Deliver HTTP jobs to unreliable endpoints, and lose none",
		Long: `Centrifuge accepts HTTP jobs over RPC, makes each durable before it says yes, and
delivers it however slow, failing or rate-limiting its endpoint is. What cannot be
delivered in time is archived, from where it can be replayed.

Every flag of serve, and every flag that says how to reach a server, is also an
environment variable: --data-dir is CENTRIFUGE_DATA_DIR.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		newServe(),
		newDirector(),
		newManager(),
		newFleetCommand(),
		newSubmit(),
		newTransaction(),
		newJob(),
		newQueue(),
		newArchive(),
		newLedger(),
		newStats(),
		newTop(),
		newSamples(),
		newReport(),
		newSearch(),
		newAlerts(),
		newAudit(),
		newCustomerLink(),
		newLogin(),
		newLogout(),
		newWhoAmI(),
		newAccess(),
		newSink(),
		newDemo(),
		newVersion(),
	)
	return root
}

// newGroup makes a command that only holds others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), usagef("%s needs a command", cmd.CommandPath()))
		},
	}
	group.AddCommand(commands...)
	return group
}

// usageError is a mistake in how the program was called.
type usageError struct{ err error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}
