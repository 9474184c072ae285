package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

func newLogin() *cobra.Command {
	var r remote
	var device bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in with the server's identity provider",
		Long: `Asks the server who its identity provider is, and signs you in there: in the browser
of this machine (that in BROWSER, or the desktop's), or, where there is none, by the
device flow: you open a page in any browser and confirm a code. The token that comes
of it is short-lived and kept in your configuration folder for you alone to read; from
then on every command sends it to this server, unless it is given another token.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.dialWithout(cmd)
			if err != nil {
				return err
			}
			defer c.Close()
			told, err := c.Access.GetLogin(cmd.Context(), connect.NewRequest(&pb.GetLoginRequest{}))
			if err != nil {
				return r.explain(fmt.Errorf("ask how to sign in: %w", err))
			}
			saved, err := signIn(cmd, told.Msg, device)
			if err != nil {
				return err
			}
			if err := saveLogin(r.server, saved); err != nil {
				return err
			}
			return whoAmI(cmd, &r)
		},
	}
	r.addTo(cmd)
	cmd.Flags().BoolVar(&device, "device", false, "confirm a code in any browser, whether this machine has one or not")
	return cmd
}

// provider is the identity provider as a client of it sees it.
type provider struct {
	*oidc.Provider
	oauth2.Config
}

// signIn signs in with the provider, in this machine's browser if it has one.
func signIn(cmd *cobra.Command, told *pb.GetLoginResponse, device bool) (login, error) {
	if err := checkIssuer(told.GetIssuer()); err != nil {
		return login{}, fmt.Errorf("the server's identity provider: %w", err)
	}
	ctx := oidc.ClientContext(cmd.Context(), &http.Client{Timeout: 30 * time.Second})
	found, err := oidc.NewProvider(ctx, told.GetIssuer())
	if err != nil {
		return login{}, fmt.Errorf("reach the identity provider: %w", err)
	}
	p := &provider{found, oauth2.Config{ClientID: told.GetClientId(), Endpoint: found.Endpoint(), Scopes: told.GetScopes()}}
	if opener := browserOpener(); opener != "" && !device {
		saved, err := p.signInByBrowser(ctx, cmd.ErrOrStderr(), opener)
		if !errors.Is(err, errNoBrowser) {
			return saved, err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), printable(err.Error()))
	}
	return p.signInByDevice(ctx, cmd.ErrOrStderr())
}

// signInByDevice runs the device flow (RFC 8628).
func (p *provider) signInByDevice(ctx context.Context, out io.Writer) (login, error) {
	if p.Config.Endpoint.DeviceAuthURL == "" {
		return login{}, errors.New("the identity provider has no device flow; sign in on a machine with a browser, or use a token")
	}
	begun, err := p.DeviceAuth(ctx)
	if err != nil {
		return login{}, fmt.Errorf("begin to sign in: %w", err)
	}
	page := begun.VerificationURI
	if begun.VerificationURIComplete != "" {
		page = begun.VerificationURIComplete
	}
	fmt.Fprintf(out, "Open %s and confirm the code %s\n", printable(page), printable(begun.UserCode))
	answer, err := p.DeviceAccessToken(ctx, begun)
	if err != nil {
		return login{}, fmt.Errorf("sign in: %w", err)
	}
	return p.verify(ctx, answer, "")
}

// verify checks the token that a sign-in came to; the nonce is empty if there was none.
func (p *provider) verify(ctx context.Context, answer *oauth2.Token, nonce string) (login, error) {
	raw, _ := answer.Extra("id_token").(string)
	token, err := p.Verifier(&oidc.Config{ClientID: p.ClientID}).Verify(ctx, raw)
	if err == nil && nonce != "" && token.Nonce != nonce {
		err = errors.New("it is of another sign-in")
	}
	if err != nil {
		return login{}, fmt.Errorf("the identity provider's token: %w", err)
	}
	return login{Token: raw, Expiry: token.Expiry.UTC()}, nil
}

func newLogout() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forget the token that login got for a server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.fill(cmd); err != nil {
				return err
			}
			return forgetLogin(r.server)
		},
	}
	r.addTo(cmd)
	return cmd
}

func newWhoAmI() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Tell whom the server takes you for, and what you may do",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return whoAmI(cmd, &r) },
	}
	r.addTo(cmd)
	return cmd
}

func whoAmI(cmd *cobra.Command, r *remote) error {
	c, err := r.dial(cmd, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	resp, err := c.Access.WhoAmI(cmd.Context(), connect.NewRequest(&pb.WhoAmIRequest{}))
	if err != nil {
		return r.explain(fmt.Errorf("ask who you are: %w", err))
	}
	if r.json {
		return writeJSON(cmd.OutOrStdout(), resp.Msg)
	}
	sources := "all sources"
	if len(resp.Msg.GetSources()) > 0 {
		sources = strings.Join(resp.Msg.GetSources(), ", ")
	}
	t := newTable(cmd.OutOrStdout(), "name", dash(resp.Msg.GetName()))
	t.row("role", resp.Msg.GetRole())
	t.row("sources", sources)
	if saved, err := savedLogin(r.server); err == nil && saved.Token != "" {
		t.row("login until", saved.Expiry.Format(time.RFC3339))
	}
	return t.flush()
}

var errLoginEnded = errors.New("your login has expired; run `centrifuge login` again, or `centrifuge logout`")
