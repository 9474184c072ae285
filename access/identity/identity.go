// Package identity learns from an OpenID Connect provider who somebody is, and from
// a mapping of the provider's groups what they may do.
//
// It verifies the provider's tokens: their signature, issuer, audience and time.
// It keeps no session; see package signin.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"centrifuge/access"
	"centrifuge/internal/watch"
)

// Options are what a Provider is made of. Issuer, ClientID and MappingFile are
// required.
type Options struct {
	// Issuer is the provider's URL, as its tokens spell it.
	Issuer string
	// ClientID and ClientSecret are what the dashboard is registered as. The secret
	// is empty if the provider takes PKCE alone.
	ClientID, ClientSecret string
	// CommandClientID is what command lines are registered as, a client without a
	// secret that may use the device flow. Default: ClientID.
	CommandClientID string
	// MappingFile is YAML that says what groups may do. It is read again when it
	// changes.
	MappingFile string
	// Client makes the requests to the provider. Default: one with a timeout of 10 s.
	Client *http.Client
	// Logger is told when the mapping changes.
	Logger *slog.Logger
}

// Scopes are what is asked for of the provider.
func Scopes() []string { return []string{oidc.ScopeOpenID, "profile", "email", "groups"} }

// Provider is an OpenID Connect provider. It is safe for concurrent use.
//
// The provider is first asked when somebody first signs in, so that it need not be
// there when the server starts.
type Provider struct {
	o        Options
	mapping  *watch.Value[*mapping]
	fetching *http.Client // discovery and keys

	reached  atomic.Pointer[oidc.Provider] // nil until it was
	reaching singleflight.Group
}

// Person is who the provider says somebody is.
type Person struct {
	Name   string
	Groups []string // those that the mapping names
}

// Open reads the mapping and makes a Provider. It does not connect.
func Open(o Options) (*Provider, error) {
	if o.Issuer == "" || o.ClientID == "" || o.MappingFile == "" {
		return nil, errors.New("an identity provider needs its issuer's URL, a client id and a mapping of groups")
	}
	if o.CommandClientID == "" {
		o.CommandClientID = o.ClientID
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	parse := func(contents [][]byte) (*mapping, error) {
		m, err := parseMapping(contents[0])
		if err != nil {
			return nil, fmt.Errorf("mapping of groups %s: %w", o.MappingFile, err)
		}
		return m, nil
	}
	groups, err := watch.Files(o.Logger, parse, o.MappingFile)
	if err != nil {
		return nil, fmt.Errorf("read the mapping of groups: %w", err)
	}
	fetching := *o.Client
	fetching.Transport = &seldom{next: o.Client.Transport, limit: rate.NewLimiter(rate.Every(5*time.Second), 5)}
	return &Provider{o: o, mapping: groups, fetching: &fetching}, nil
}

// seldom bounds how often the provider is asked for its keys: a forged token that
// names an unknown key makes us look for it each time.
type seldom struct {
	next  http.RoundTripper // nil: the default
	limit *rate.Limiter
}

func (s *seldom) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.limit.Allow() {
		return nil, errors.New("the identity provider was asked too often; try again in a few seconds")
	}
	next := s.next
	if next == nil {
		next = http.DefaultTransport
	}
	return next.RoundTrip(r)
}

// reach is the provider, found by its issuer's URL when it is first needed. Those
// who need it at the same time ask once, and not in the name of one who may give up.
func (p *Provider) reach(ctx context.Context) (*oidc.Provider, error) {
	if provider := p.reached.Load(); provider != nil {
		return provider, nil
	}
	found, err, _ := p.reaching.Do("", func() (any, error) {
		provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.fetching), p.o.Issuer)
		if err == nil {
			p.reached.Store(provider)
		}
		return provider, err
	})
	if err != nil {
		return nil, fmt.Errorf("reach the identity provider: %w", err)
	}
	return found.(*oidc.Provider), nil
}

// Verify tells for whom a token of the provider stands, an ID token or an access
// token in the form of a JWT, whose audience is the dashboard or the command line.
func (p *Provider) Verify(ctx context.Context, token string) (access.Principal, error) {
	if strings.Count(token, ".") != 2 {
		return access.Principal{}, errors.New("the token is not valid")
	}
	_, person, err := p.verify(ctx, token, p.o.ClientID, p.o.CommandClientID)
	if err != nil {
		return access.Principal{}, err
	}
	return p.Principal(person)
}

// Principal is what a person may do by the mapping as it is now.
func (p *Provider) Principal(person Person) (access.Principal, error) {
	principal, ok := p.mapping.Get().principal(person.Name, person.Groups)
	if !ok {
		return access.Principal{}, fmt.Errorf("%s is in no group that may use this server", person.Name)
	}
	return principal, nil
}

func (p *Provider) verify(ctx context.Context, raw string, audiences ...string) (*oidc.IDToken, Person, error) {
	provider, err := p.reach(ctx)
	if err != nil {
		return nil, Person{}, err
	}
	token, err := provider.Verifier(&oidc.Config{SkipClientIDCheck: true}).Verify(ctx, raw) // checked below, against more than one
	if err != nil {
		return nil, Person{}, fmt.Errorf("the token is not valid: %w", err)
	}
	if !slices.ContainsFunc(token.Audience, func(aud string) bool { return slices.Contains(audiences, aud) }) {
		return nil, Person{}, errors.New("the token is not valid: it was made for another audience")
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return nil, Person{}, fmt.Errorf("the token is not valid: %w", err)
	}
	m := p.mapping.Get()
	return token, Person{Name: nameOf(claims, m.Name, token.Subject), Groups: m.known(texts(claims[m.Claim]))}, nil
}

// nameOf is what somebody is called: by the claim that the mapping names, or else
// by the first of the usual ones that is there.
func nameOf(claims map[string]any, claim, subject string) string {
	for _, c := range []string{claim, "email", "preferred_username", "name"} {
		if name, ok := claims[c].(string); ok && name != "" {
			return name
		}
	}
	return subject
}

// texts are the texts of a claim that has one or a list of them.
func texts(claim any) []string {
	switch claim := claim.(type) {
	case string:
		return []string{claim}
	case []any:
		var list []string
		for _, one := range claim {
			if text, ok := one.(string); ok {
				list = append(list, text)
			}
		}
		return list
	default:
		return nil
	}
}

// Attempt is a sign-in that was begun: what the provider's answer must match.
type Attempt struct {
	State    string
	Nonce    string
	Verifier string // of PKCE
}

// Begin begins a sign-in by authorization code with PKCE, and returns where the
// browser goes.
func (p *Provider) Begin(ctx context.Context, redirect string) (Attempt, string, error) {
	config, err := p.config(ctx, redirect)
	if err != nil {
		return Attempt{}, "", err
	}
	a := Attempt{State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier()}
	return a, config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// End exchanges the code that the browser brought back and tells who signed in.
// That the state matched is the caller's to check.
func (p *Provider) End(ctx context.Context, a Attempt, redirect, code string) (Person, error) {
	config, err := p.config(ctx, redirect)
	if err != nil {
		return Person{}, err
	}
	answer, err := config.Exchange(oidc.ClientContext(ctx, p.o.Client), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Person{}, fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := answer.Extra("id_token").(string)
	token, person, err := p.verify(ctx, raw, p.o.ClientID)
	if err != nil {
		return Person{}, err
	}
	if token.Nonce != a.Nonce {
		return Person{}, errors.New("the token is not valid: it answers another sign-in")
	}
	return person, nil
}

func (p *Provider) config(ctx context.Context, redirect string) (*oauth2.Config, error) {
	provider, err := p.reach(ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret,
		Endpoint: provider.Endpoint(), RedirectURL: redirect, Scopes: Scopes(),
	}, nil
}

// Issuer is the provider's URL, and CommandClientID what command lines sign in as.
func (p *Provider) Issuer() string          { return p.o.Issuer }
func (p *Provider) CommandClientID() string { return p.o.CommandClientID }
