package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// submitOptions are the flags of submit that are not about one job.
type submitOptions struct {
	file          string
	transaction   string
	prefix        string
	batchJobs     int
	parallel      int
	retryFor      time.Duration
	maxBatchBytes int
	prepare       bool
	prepareTTL    time.Duration
}

func newSubmit() *cobra.Command {
	var r remote
	var j jobFlags
	o := submitOptions{maxBatchBytes: 8 << 20}
	jobFlags := j.flags()
	cmd := &cobra.Command{
		Use:   "submit",
		Short: "Submit one job from flags, or many from a file",
		Long: `Submits one job that the flags describe and prints its id, or, with --file, the
jobs of a file of NDJSON: each line a JobSpec in the JSON of the wire. A payload
that is JSON itself may stand in payloadJson as it is; payload is base64.

A submit that fails for now is repeated with growing waits, and enqueues nothing
twice. A file that was submitted in part is completed by submitting it again with
the same --transaction-prefix and --batch.

--server may name several servers, with commas: each submit goes to one that has
little to do.`,
		Example: `  centrifuge submit --source shop --endpoint https://api.example.com/hook -d '{"order":7}'
  centrifuge submit --file jobs.ndjson --transaction-prefix import-7
  generate-jobs | centrifuge submit --file -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd, jobFlags); err != nil {
				return err
			}
			c, err := r.dialSubmitter(cmd, client.Options{RetryFor: o.retryFor, OnRetry: sayRetry(cmd.ErrOrStderr())})
			if err != nil {
				return err
			}
			defer c.Close()
			if o.file != "" {
				return r.explain(o.submitFile(cmd, c, r.json))
			}
			job, err := j.job(cmd.InOrStdin())
			if err != nil {
				return err
			}
			resp, err := c.Submit(cmd.Context(), o.request(o.transaction, []*pb.JobSpec{job}))
			if err != nil {
				return r.explain(err)
			}
			if r.json {
				return writeJSON(cmd.OutOrStdout(), resp)
			}
			fmt.Fprint(cmd.ErrOrStderr(), prepared(resp))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), resp.GetJobIds()[0])
			return err
		},
	}
	r.addTo(cmd)
	cmd.Flags().AddFlagSet(jobFlags)
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "NDJSON `file` of jobs, - for the standard input (which is also read if there is no flag of a job)")
	cmd.Flags().StringVar(&o.transaction, "transaction-id", "", "name the submit, so that its repetition enqueues nothing (default made up)")
	cmd.Flags().StringVar(&o.prefix, "transaction-prefix", "", "with --file: begin the names of its transactions so (default made up)")
	cmd.Flags().IntVar(&o.batchJobs, "batch", 1000, "with --file: jobs in one transaction, 5000 at most")
	cmd.Flags().IntVar(&o.parallel, "parallel", 4, "with --file: transactions under way at once")
	cmd.Flags().BoolVar(&o.prepare, "prepare", false, "make the jobs durable without delivering them, until they are committed by the command transaction")
	cmd.Flags().DurationVar(&o.prepareTTL, "prepare-ttl", 0, "with --prepare: abort them after this time, 15m at most (default 1m)")
	cmd.Flags().DurationVar(&o.retryFor, "retry-for", client.DefaultRetryFor, "how long a submit that fails for now is repeated; 0 is not at all")
	return cmd
}

func (o *submitOptions) request(transaction string, jobs []*pb.JobSpec) *pb.SubmitRequest {
	req := &pb.SubmitRequest{TransactionId: transaction, Jobs: jobs, Prepare: o.prepare}
	if o.prepareTTL > 0 {
		req.PrepareTtl = durationpb.New(o.prepareTTL)
	}
	return req
}

// check refuses flags that do not go together, and settles where jobs come from.
func (o *submitOptions) check(cmd *cobra.Command, jobFlags *pflag.FlagSet) error {
	given := ""
	jobFlags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			given = f.Name
		}
	})
	if o.file == "" && given == "" && !isTerminal(cmd.InOrStdin()) {
		o.file = "-"
	}
	switch {
	case o.file == "" && cmd.Flag("endpoint").Value.String() == "":
		return usagef("say what to submit: --source and --endpoint, or --file")
	case o.file != "" && given != "":
		return usagef("--%s and --file do not go together: each line of the file is a whole job", given)
	case o.file != "" && o.transaction != "":
		return usagef("--transaction-id names one submit; with --file give --transaction-prefix")
	case o.file == "" && o.prefix != "":
		return usagef("--transaction-prefix goes with --file; name one submit by --transaction-id")
	case o.batchJobs < 1 || o.batchJobs > 5000:
		return usagef("--batch %d: want 1 to 5000", o.batchJobs)
	case o.parallel < 1 || o.parallel > 256:
		return usagef("--parallel %d: want 1 to 256", o.parallel)
	case len(o.prefix) > 100:
		return usagef("--transaction-prefix: %d bytes are more than 100", len(o.prefix))
	case o.prepareTTL != 0 && !o.prepare:
		return usagef("--prepare-ttl goes with --prepare")
	case o.prepareTTL < 0:
		return usagef("--prepare-ttl %s: must not be negative", o.prepareTTL)
	case o.retryFor < 0:
		return usagef("--retry-for %s: must not be negative", o.retryFor)
	}
	if o.retryFor == 0 {
		o.retryFor = -1 // what the client calls never
	}
	if o.prefix == "" {
		o.prefix = rand.Text()[:13]
	}
	return nil
}

// open opens the file and tells its size, -1 if it has none.
func (o *submitOptions) open(stdin io.Reader) (io.Reader, int64, func() error, error) {
	if o.file == "-" {
		return stdin, -1, func() error { return nil }, nil
	}
	file, err := os.Open(o.file)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("--file: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, nil, errors.Join(fmt.Errorf("--file: %w", err), file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, -1, file.Close, nil
	}
	return file, info.Size(), file.Close, nil
}

// sayRetry tells of the waits, so that nobody wonders.
func sayRetry(w io.Writer) func(error, time.Duration) {
	return func(err error, wait time.Duration) {
		fmt.Fprintf(w, "centrifuge: %v; again in %s\n", err, short(wait))
	}
}
