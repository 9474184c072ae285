package main

import (
	"context"
	"errors"
	"fmt"
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
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in with the server's identity provider",
		Long: `Asks the server who its identity provider is, and signs you in there by the device
flow: you open a page in any browser and confirm a code. The token that comes of it
is short-lived and kept in your configuration folder for you alone to read; from
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
			saved, err := signInByDevice(cmd, told.Msg)
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
	return cmd
}

// signInByDevice runs the device flow (RFC 8628) with the provider.
func signInByDevice(cmd *cobra.Command, told *pb.GetLoginResponse) (login, error) {
	if err := checkIssuer(told.GetIssuer()); err != nil {
		return login{}, fmt.Errorf("the server's identity provider: %w", err)
	}
	ctx := oidc.ClientContext(cmd.Context(), &http.Client{Timeout: 30 * time.Second})
	provider, err := oidc.NewProvider(ctx, told.GetIssuer())
	if err != nil {
		return login{}, fmt.Errorf("reach the identity provider: %w", err)
	}
	config := oauth2.Config{ClientID: told.GetClientId(), Endpoint: provider.Endpoint(), Scopes: told.GetScopes()}
	if config.Endpoint.DeviceAuthURL == "" {
		return login{}, fmt.Errorf("the identity provider %s has no device flow; use a token", told.GetIssuer())
	}
	begun, err := config.DeviceAuth(ctx)
	if err != nil {
		return login{}, fmt.Errorf("begin to sign in: %w", err)
	}
	page := begun.VerificationURI
	if begun.VerificationURIComplete != "" {
		page = begun.VerificationURIComplete
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Open %s and confirm the code %s\n", printable(page), printable(begun.UserCode))
	answer, err := config.DeviceAccessToken(ctx, begun)
	if err != nil {
		return login{}, fmt.Errorf("sign in: %w", err)
	}
	return verifyLogin(ctx, provider, told.GetClientId(), answer)
}

func verifyLogin(ctx context.Context, provider *oidc.Provider, clientID string, answer *oauth2.Token) (login, error) {
	raw, _ := answer.Extra("id_token").(string)
	token, err := provider.Verifier(&oidc.Config{ClientID: clientID}).Verify(ctx, raw)
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
