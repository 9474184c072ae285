package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"centrifuge/client"
	"centrifuge/cmd/centrifuge/config"
)

// tokenEnv holds the token itself; a flag would show it to everyone who may list
// processes.
const tokenEnv = "CENTRIFUGE_TOKEN"

// remote is how a command reaches the server, and in which form it answers.
type remote struct {
	server    string
	tokenFile string
	caFile    string
	timeout   time.Duration
	json      bool
}

// addTo gives cmd and its commands the flags of a remote.
func (r *remote) addTo(cmd *cobra.Command) {
	fs := pflag.NewFlagSet("remote", pflag.ContinueOnError)
	fs.StringVar(&r.server, "server", client.DefaultURL, "`URL` of the server, or consul://HOST:PORT[/PREFIX] to find the Directors of a fleet")
	fs.StringVar(&r.tokenFile, "token-file", "", "`file` whose first token is sent (or the token in "+tokenEnv+")")
	fs.StringVar(&r.caFile, "ca-file", "", "PEM `file` with the authorities that the server's certificate is verified against (default the system's)")
	fs.DurationVar(&r.timeout, "timeout", client.DefaultTimeout, "how long one call may take")
	fs.BoolVar(&r.json, "json", false, "answer in JSON, lists as one object a line")
	cmd.PersistentFlags().AddFlagSet(fs)
}

// dial makes a client of the flags, completed from the environment. It does not
// connect yet.
func (r *remote) dial(cmd *cobra.Command, o client.Options) (*client.Client, error) {
	if err := r.fill(cmd); err != nil {
		return nil, err
	}
	var err error
	if o.Token, err = r.token(); err != nil {
		return nil, err
	}
	return r.reach(cmd.Context(), o)
}

// dialWithout is dial for a call that is made to get a token.
func (r *remote) dialWithout(cmd *cobra.Command) (*client.Client, error) {
	if err := r.fill(cmd); err != nil {
		return nil, err
	}
	return r.reach(cmd.Context(), client.Options{})
}

func (r *remote) reach(ctx context.Context, o client.Options) (*client.Client, error) {
	var err error
	o.URL = r.server
	if strings.HasPrefix(r.server, discoveryScheme) {
		d, err := openDirectory(r.server)
		if err != nil {
			return nil, err
		}
		if o.URL, err = d.any(ctx); err != nil {
			return nil, err
		}
	}
	if r.caFile != "" {
		if o.RootCAs, err = readCAs(r.caFile); err != nil {
			return nil, err
		}
	}
	o.Timeout = r.timeout
	if r.timeout <= 0 {
		return nil, usagef("--timeout %s: must be above 0", r.timeout)
	}
	c, err := client.New(o)
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	return c, nil
}

// fill completes the flags of the remote alone: those of a command, such as
// --source, are no configuration.
func (r *remote) fill(cmd *cobra.Command) error {
	fs := pflag.NewFlagSet("remote", pflag.ContinueOnError)
	for _, name := range []string{"server", "token-file", "ca-file", "timeout", "json"} {
		fs.AddFlag(cmd.Flag(name))
	}
	if err := config.Fill(fs, os.LookupEnv); err != nil {
		return &usageError{err}
	}
	return nil
}

// token is what the command line says it is, or else the environment, or else the
// login for this server.
func (r *remote) token() (string, error) {
	if r.tokenFile == "" {
		if token := os.Getenv(tokenEnv); token != "" {
			return token, nil
		}
		saved, err := savedLogin(r.server)
		switch {
		case err != nil || saved.Token == "":
			return "", nil // without a folder for logins there is none
		case time.Now().After(saved.Expiry):
			return "", errLoginEnded
		}
		return saved.Token, nil
	}
	file, err := os.Open(r.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ':')+1:]), nil // NAME:TOKEN, or TOKEN
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return "", fmt.Errorf("--token-file %s: no token in it", r.tokenFile)
}

func readCAs(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file %s: no PEM certificate in it", name)
	}
	return pool, nil
}

// explain adds to the error of a call what its user can do about it.
func (r *remote) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w; name the authority with --ca-file", err)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w; is `centrifuge serve` running there? --server is %s", err, r.server)
	case connect.CodeOf(err) == connect.CodeUnauthenticated:
		return fmt.Errorf("%w; give a token with --token-file or %s, or run centrifuge login", err, tokenEnv)
	case connect.CodeOf(err) == connect.CodeDeadlineExceeded:
		return fmt.Errorf("%w; --timeout is %s", err, r.timeout)
	default:
		return err
	}
}
