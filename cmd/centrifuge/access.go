package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"centrifuge/access/audit"
	"centrifuge/access/identity"
	"centrifuge/access/keyring"
	"centrifuge/access/links"
	"centrifuge/access/signin"
	"centrifuge/rpc"
	"centrifuge/visibility/web"
)

// keysName is where the keys of sessions and links lie in the data folder.
const keysName = "keys"

// accessOptions say who may come in beside those who have a token.
type accessOptions struct {
	publicURL string
	keyFile   string

	issuer          string
	clientID        string
	secretFile      string
	commandClientID string
	mapping         string
}

func (o *accessOptions) addTo(fs *pflag.FlagSet) {
	o.addProviderTo(fs)
	fs.StringVar(&o.publicURL, "public-url", "", "`URL` that browsers reach the dashboard by, if a proxy stands before it (default as they ask)")
	fs.StringVar(&o.keyFile, "key-file", "", "`file` of the keys of sessions and customers' links, for several instances to share (default "+keysName+" in the data folder)")
}

// addProviderTo declares the flags that say whom an identity provider speaks for.
func (o *accessOptions) addProviderTo(fs *pflag.FlagSet) {
	fs.StringVar(&o.issuer, "oidc-issuer", "", "`URL` of the OpenID Connect provider that people sign in with")
	fs.StringVar(&o.clientID, "oidc-client-id", "", "`id` of the dashboard at the provider")
	fs.StringVar(&o.secretFile, "oidc-client-secret-file", "", "`file` with the dashboard's secret at the provider (default none: PKCE alone)")
	fs.StringVar(&o.commandClientID, "oidc-command-client-id", "", "`id` of command lines at the provider, which have no secret (default that of the dashboard)")
	fs.StringVar(&o.mapping, "oidc-mapping", "", "YAML `file` that says what the provider's groups may do")
}

func (o *accessOptions) check() error {
	if o.issuer == "" {
		if o.clientID != "" || o.secretFile != "" || o.mapping != "" || o.commandClientID != "" {
			return usagef("--oidc-…: give --oidc-issuer too")
		}
		return nil
	}
	if o.clientID == "" || o.mapping == "" {
		return usagef("--oidc-issuer needs --oidc-client-id and --oidc-mapping")
	}
	if err := checkIssuer(o.issuer); err != nil {
		return usagef("--oidc-issuer: %w", err)
	}
	return nil
}

// checkIssuer refuses a provider that is asked for its keys in the clear.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || rpc.CheckExposure(net.JoinHostPort(u.Hostname(), "0"), false) != nil) {
		return fmt.Errorf("%q: want https://HOST, or http on this machine", issuer)
	}
	return nil
}

// entrance is who may come in, and how.
type entrance struct {
	tokens   *rpc.Tokens        // nil: none
	identity *identity.Provider // nil: none
	keys     *keyring.Ring      // of those who come with a browser; nil: nobody does
	links    *links.Register    // of customers; nil where there are none
	log      *audit.Log
	public   string
	site     *web.Site // whose looks the door has
}

// openEntrance reads the files of tokens and groups.
func openEntrance(o *accessOptions, tokenFile string, log *audit.Log, logger *slog.Logger) (*entrance, error) {
	e := &entrance{log: log, public: o.publicURL}
	var err error
	if tokenFile != "" {
		if e.tokens, err = rpc.OpenTokens(tokenFile, logger); err != nil {
			return nil, err
		}
	}
	if o.issuer == "" {
		return e, nil
	}
	secret, err := readSecret(o.secretFile)
	if err != nil {
		return nil, err
	}
	e.identity, err = identity.Open(identity.Options{
		Issuer: o.issuer, ClientID: o.clientID, ClientSecret: secret,
		CommandClientID: o.commandClientID, MappingFile: o.mapping, Logger: logger,
	})
	return e, err
}

// openKeys reads the keys of sessions and links, or makes some.
func (e *entrance) openKeys(o *accessOptions, dataDir string, logger *slog.Logger) error {
	keyFile := o.keyFile
	if keyFile == "" {
		keyFile = filepath.Join(dataDir, keysName)
	}
	var err error
	e.keys, err = keyring.Open(keyFile, logger)
	return err
}

func readSecret(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("--oidc-client-secret-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// door is the door of the dashboard, in the dashboard's looks as soon as that is
// given.
func (e *entrance) door(logger *slog.Logger) (*signin.Door, error) {
	plain := signin.Plain()
	o := signin.Options{
		Keys: e.keys, Identity: e.identity, Links: e.links, PublicURL: e.public, Audit: e.log, Logger: logger,
		Public: func(path string) bool { return strings.HasPrefix(path, "/static/") || path == "/favicon.ico" },
		Render: func(w http.ResponseWriter, r *http.Request, p signin.Page) {
			if !p.SignIn {
				plain(w, r, p)
				return
			}
			e.site.ShowSignIn(w, r, web.SignIn{
				Status: p.Status, Problem: p.Message, Token: p.Token, Post: "/sign-in", Provider: p.Provider, Next: p.Next,
			})
		},
	}
	if e.tokens != nil {
		o.Tokens = e.tokens // an interface that is not nil, but for a file
	}
	return signin.New(o)
}

// customerLinks are the links that the door lets customers in by.
func (e *entrance) customerLinks(door *signin.Door) *rpc.CustomerLinks {
	return &rpc.CustomerLinks{Maker: door, Register: e.links, Log: e.log}
}

// give tells a server's options who may come in, and puts the door before its pages.
func (e *entrance) give(o *rpc.Options, door *signin.Door, site *web.Site) {
	e.site = site
	o.Links, o.Pages = e.customerLinks(door), door.Handler(site)
	e.admit(o)
}

// admit tells a server's options who may call.
func (e *entrance) admit(o *rpc.Options) {
	o.Tokens, o.Audit = e.tokens, e.log
	if e.identity != nil {
		o.Identity = e.identity
		o.Login = &rpc.Login{Issuer: e.identity.Issuer(), ClientID: e.identity.CommandClientID(), Scopes: identity.Scopes()}
	}
}

// signOutPath is where the pages post to sign out; empty where nobody signs in.
func (e *entrance) signOutPath() string {
	if e.tokens == nil && e.identity == nil {
		return ""
	}
	return signin.SignOutPath
}

func newAccess() *cobra.Command {
	return newGroup("access", "Manage the keys that sessions and customers' links are sealed with", newRotateKeys())
}

func newRotateKeys() *cobra.Command {
	var dataDir, keyFile string
	var forget bool
	cmd := &cobra.Command{
		Use:   "rotate-keys",
		Short: "Seal with a new key, or end every session and link at once",
		Long: `Puts a new key into the file of keys, on the machine that serves; a running server
reads it within a second. What older keys sealed stays good until it expires. With
--forget older keys are taken out: everybody has to sign in again, and every
customer's link so far is revoked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keyFile == "" {
				keyFile = filepath.Join(dataDir, keysName)
			}
			return keyring.Rotate(keyFile, forget)
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "./data", "`folder` of the server's data")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "`file` of the keys (default "+keysName+" in the data folder)")
	cmd.Flags().BoolVar(&forget, "forget", false, "take the older keys out")
	return cmd
}
