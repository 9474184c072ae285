package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newLedger() *cobra.Command {
	var r remote
	var req pb.LedgerServiceGetRequest
	var sel pb.QueueSelector
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Account for every job ever accepted; fail if the books do not balance",
		Long: `Prints accepted = succeeded + discarded + archived + moved + pending, and fails
with exit code 1 if the two sides differ, or, with --verify, if a recount of the
database gives other figures than the books.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Verify && !cmd.Flags().Changed("timeout") {
				r.timeout = verifyTimeout
			}
			c, err := r.dial(cmd, client.Options{})
			if err != nil {
				return err
			}
			defer c.Close()
			req.Selector = &sel
			resp, err := c.Ledger.Get(cmd.Context(), connect.NewRequest(&req))
			if err != nil {
				return r.explain(fmt.Errorf("get the ledger: %w", err))
			}
			write := writeLedger
			if r.json {
				write = func(w io.Writer, m *pb.LedgerServiceGetResponse) error { return writeJSON(w, m) }
			}
			if err := write(cmd.OutOrStdout(), resp.Msg); err != nil {
				return err
			}
			if err := tellMissing(cmd.ErrOrStderr(), resp.Msg.GetMissing()); err != nil {
				return err
			}
			switch {
			case len(resp.Msg.GetMissing()) > 0:
				return errIncomplete
			case !resp.Msg.GetBalanced():
				return errUnbalanced
			}
			return nil
		},
	}
	r.addTo(cmd)
	cmd.Flags().BoolVar(&req.Verify, "verify", false, "recount the database and compare: seconds for each million jobs")
	cmd.Flags().BoolVar(&req.ByQueue, "by-queue", false, "also the ledger of each queue")
	addSelector(cmd, &sel)
	return cmd
}

// verifyTimeout is how long a recount may take unless --timeout says otherwise;
// the server gives it as much.
const verifyTimeout = 15 * time.Minute

var (
	errUnbalanced = errors.New("the ledger does not balance")
	errIncomplete = errors.New("not all jobs could be counted")
)

func writeLedger(w io.Writer, m *pb.LedgerServiceGetResponse) error {
	t := newTable(w, ledgerColumns("")...)
	t.row(ledgerCells("total", m.GetTotal())...)
	if m.GetRecounted() != nil {
		t.row(ledgerCells("recounted", m.GetRecounted())...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(m.GetQueues()) > 0 {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		t := newTable(w, append([]any{"DESTINATION"}, ledgerColumns("SOURCE")...)...)
		for _, q := range m.GetQueues() {
			t.row(append([]any{q.GetDestination()}, ledgerCells(q.GetSource(), q.GetLedger())...)...)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	verdict := "balanced: accepted = succeeded + discarded + archived + moved + pending"
	if len(m.GetMissing()) > 0 {
		verdict = "incomplete: not all jobs could be counted"
	} else if !m.GetBalanced() {
		verdict = "NOT BALANCED"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}

func ledgerColumns(first string) []any {
	return []any{
		first, "ACCEPTED", "SUCCEEDED", "DISCARDED", "ARCHIVED", "MOVED", "PENDING",
		"(NEW", "EXECUTING", "RETRYING", "ARCHIVING)",
	}
}

func ledgerCells(first string, l *pb.Ledger) []any {
	return []any{
		first, l.GetAccepted(), l.GetSucceeded(), l.GetDiscarded(), l.GetArchived(), l.GetMoved(), l.GetPending(),
		l.GetAwaitingScheduling(), l.GetExecuting(), l.GetAwaitingRetry(), l.GetArchiving(),
	}
}
