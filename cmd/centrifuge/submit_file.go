package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	pb "centrifuge/gen/centrifuge/v1"
)

// upload is the submission of a file: a reader, some submitters, and what they
// have done so far.
type upload struct {
	o      *submitOptions
	client submitter
	out    io.Writer
	json   bool
	bar    *progress

	mu struct {
		sync.Mutex
		jobs, transactions int64
		failed             bool
	}
}

func (o *submitOptions) submitFile(cmd *cobra.Command, c submitter, asJSON bool) (err error) {
	input, size, closeInput, err := o.open(cmd.InOrStdin())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeInput()) }()
	u := &upload{o: o, client: c, out: cmd.OutOrStdout(), json: asJSON}
	u.bar = newProgress(cmd.ErrOrStderr(), size, "submitting (bytes)")
	err = u.run(cmd, newBatches(input, o.batchJobs, o.maxBatchBytes))
	u.bar.done()
	if err != nil {
		return fmt.Errorf("%w\n%d jobs were accepted before; go on with --transaction-prefix %s --batch %d",
			err, u.mu.jobs, o.prefix, o.batchJobs)
	}
	if asJSON {
		return nil
	}
	_, err = fmt.Fprintf(u.out, "%d jobs accepted in %d transactions\n", u.mu.jobs, u.mu.transactions)
	return err
}

// run reads batches and submits them, some at once. After a failure it reads no
// more, and waits for those under way: their outcome is worth knowing.
func (u *upload) run(cmd *cobra.Command, input *batches) error {
	var submits errgroup.Group
	submits.SetLimit(u.o.parallel)
	for cmd.Context().Err() == nil && !u.failed() {
		b, err := input.next()
		if errors.Is(err, io.EOF) {
			return submits.Wait()
		}
		if err != nil {
			return errors.Join(err, submits.Wait())
		}
		submits.Go(func() error {
			err := u.submit(cmd, b)
			if err != nil {
				u.fail()
			}
			return err
		})
	}
	return errors.Join(submits.Wait(), cmd.Context().Err())
}

func (u *upload) submit(cmd *cobra.Command, b *batch) error {
	transaction, err := b.transactionID(u.o.prefix)
	if err != nil {
		return fmt.Errorf("%s: %w", b.where(), err)
	}
	resp, err := u.client.Submit(cmd.Context(), u.o.request(transaction, b.jobs))
	if err != nil {
		return fmt.Errorf("%s: %w", b.blame(err), err)
	}
	return u.accepted(b, resp)
}

func (u *upload) accepted(b *batch, resp *pb.SubmitResponse) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.jobs += int64(len(b.jobs))
	u.mu.transactions++
	u.bar.add(b.read)
	if u.json {
		return writeJSON(u.out, resp)
	}
	return nil
}

func (u *upload) failed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.mu.failed
}

func (u *upload) fail() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.failed = true
}

// blame names the line that the server's error is about, or all of the batch if
// it is about none.
func (b *batch) blame(err error) string {
	if m := regexp.MustCompile(`jobs\[(\d+)\]`).FindStringSubmatch(err.Error()); m != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(b.lines) {
			return fmt.Sprintf("line %d", b.lines[i])
		}
	}
	return b.where()
}
