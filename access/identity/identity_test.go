package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"centrifuge/access"
	"centrifuge/access/identity/identitytest"
)

const groupsFile = `
grants:
  - {group: platform, role: admin}
  - {group: support, role: viewer}
  - {group: shop-team, role: operator, sources: [shop, shop-eu]}
  - {group: app-team, role: operator, sources: [app]}
`

func open(t *testing.T, p *identitytest.Provider) *Provider {
	t.Helper()
	path := filepath.Join(t.TempDir(), "groups.yaml")
	if err := os.WriteFile(path, []byte(groupsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	provider, err := Open(Options{
		Issuer: p.Issuer, ClientID: identitytest.ClientID, ClientSecret: identitytest.ClientSecret,
		CommandClientID: identitytest.CommandID, MappingFile: path,
	})
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

func TestGroupsGrantRoles(t *testing.T) {
	m, err := parseMapping([]byte(groupsFile))
	if err != nil {
		t.Fatal(err)
	}
	for groups, want := range map[string]access.Principal{
		"platform":                  {Role: access.Admin},
		"support":                   {Role: access.Viewer},
		"shop-team":                 {Role: access.Operator, Sources: []string{"shop", "shop-eu"}},
		"shop-team app-team":        {Role: access.Operator, Sources: []string{"shop", "shop-eu", "app"}},
		"support app-team":          {Role: access.Operator, Sources: []string{"app"}},
		"app-team platform support": {Role: access.Admin},
		"unknown support":           {Role: access.Viewer},
		"":                          {},
		"unknown":                   {},
		"Platform":                  {},
		"shop-team2 plat":           {},
	} {
		p, ok := m.principal("", strings.Fields(groups))
		if !reflect.DeepEqual(p, want) || ok != (want.Role != access.Nobody) {
			t.Errorf("%q may %+v, want %+v", groups, p, want)
		}
	}
}

func TestMappingsThatCannotBeUsed(t *testing.T) {
	for content, want := range map[string]string{
		"":                                   "grants nothing",
		"grants: []":                         "grants nothing",
		"grants: [{group: a, role: root}]":   `"root" is no role`,
		"grants: [{group: a, role: nobody}]": `is no role`,
		"grants: [{role: admin}]":            "grants[0].group: required",
		"grants: [{group: a, role: admin, source: [shop]}]":    "field source not found",
		"grants: [{group: a, role: admin, sources: []}]":       "sources: is empty",
		"grants: [{group: a, role: admin, sources: ['']}]":     "one of them is empty",
		"grants: [{group: a, role: admin}]\n---\ngrants: []\n": "more than one document",
		"grants: [{group: a, role: admin, sources: {a: b}}]":   "cannot unmarshal",
		"a: [": "yaml",
	} {
		if _, err := parseMapping([]byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want %q", content, err, want)
		}
	}
}

func TestTokensOfTheProvider(t *testing.T) {
	idp := identitytest.Start(t)
	provider := open(t, idp)
	idp.SignsIn("ann@example.com", "shop-team", "lunch")
	for _, client := range []string{identitytest.ClientID, identitytest.CommandID} {
		p, err := provider.Verify(t.Context(), idp.Token(t, client, nil))
		want := access.Principal{Name: "ann@example.com", Role: access.Operator, Sources: []string{"shop", "shop-eu"}}
		if err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("a token for %s is of %+v, %v", client, p, err)
		}
	}

	good := idp.Token(t, identitytest.CommandID, nil)
	parts := strings.Split(good, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	forged := func() string {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": idp.Issuer, "aud": identitytest.CommandID, "sub": "eve", "groups": []string{"platform"}, "exp": time.Now().Add(time.Hour).Unix(),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}()
	for name, raw := range map[string]string{
		"empty":          "",
		"opaque":         "opaque",
		"cut":            parts[0] + "." + parts[1],
		"unsigned":       unsigned,
		"forged":         forged,
		"changed":        parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"eve"}`)) + "." + parts[2],
		"expired":        idp.Token(t, identitytest.CommandID, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"other audience": idp.Token(t, "another-app", nil),
		"no audience":    idp.Token(t, identitytest.CommandID, map[string]any{"aud": nil}),
		"other issuer":   idp.Token(t, identitytest.CommandID, map[string]any{"iss": "https://elsewhere.example"}),
		"no group":       idp.Token(t, identitytest.CommandID, map[string]any{"groups": []string{"lunch"}}),
		"odd groups":     idp.Token(t, identitytest.CommandID, map[string]any{"groups": map[string]any{"platform": true}}),
		"no groups":      idp.Token(t, identitytest.CommandID, map[string]any{"groups": nil}),
	} {
		if p, err := provider.Verify(t.Context(), raw); err == nil || p.Has(access.SignIn) {
			t.Errorf("a token that is %s stands for %+v", name, p)
		}
	}
}

// follow does what a browser does: it goes where it is sent, and stops where the
// provider sends it back.
func follow(t *testing.T, begin string) url.Values {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(begin)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return back.Query()
}

func TestSignInByCode(t *testing.T) {
	const redirect = "http://127.0.0.1/sign-in/callback"
	idp := identitytest.Start(t)
	provider := open(t, idp)
	idp.SignsIn("ann@example.com", "platform", "lunch")
	begin := func() (Attempt, string) {
		a, begin, err := provider.Begin(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		back := follow(t, begin)
		if back.Get("state") != a.State || a.State == "" {
			t.Errorf("the state came back as %q, not %q", back.Get("state"), a.State)
		}
		return a, back.Get("code")
	}

	a, code := begin()
	person, err := provider.End(t.Context(), a, redirect, code)
	if err != nil || person.Name != "ann@example.com" || !reflect.DeepEqual(person.Groups, []string{"platform"}) {
		t.Errorf("signed in is %+v, %v", person, err)
	}
	if _, err := provider.End(t.Context(), a, redirect, code); err == nil {
		t.Error("a code was good twice")
	}
	for name, spoil := range map[string]func(*Attempt){
		"another verifier": func(a *Attempt) { a.Verifier = strings.Repeat("v", 43) },
		"another nonce":    func(a *Attempt) { a.Nonce = "n" },
	} {
		a, code := begin()
		spoil(&a)
		if person, err := provider.End(t.Context(), a, redirect, code); err == nil {
			t.Errorf("%s signed %+v in", name, person)
		}
	}
	idp.Spoil(func(claims map[string]any) { claims["aud"] = identitytest.CommandID })
	a, code = begin()
	if person, err := provider.End(t.Context(), a, redirect, code); err == nil {
		t.Errorf("a token for another client signed %+v in", person)
	}
}

func TestAProviderThatIsNotThereYet(t *testing.T) {
	idp := identitytest.Start(t)
	provider := open(t, idp)
	provider.o.Issuer = "http://127.0.0.1:1" // nothing listens there
	idp.SignsIn("ann@example.com", "platform")
	raw := idp.Token(t, identitytest.CommandID, nil)
	if _, err := provider.Verify(t.Context(), raw); err == nil || !strings.Contains(err.Error(), "reach the identity provider") {
		t.Errorf("got %v", err)
	}
	provider.o.Issuer = idp.Issuer
	if _, err := provider.Verify(t.Context(), raw); err != nil {
		t.Errorf("it is there now: %v", err)
	}
}

// Whoever sends forged tokens does not have the provider asked for its keys each
// time.
func TestForgedTokensDoNotAskTheProvider(t *testing.T) {
	idp := identitytest.Start(t)
	asked := 0
	provider := open(t, idp)
	provider.fetching.Transport.(*seldom).next = roundTripper(func(r *http.Request) (*http.Response, error) {
		asked++
		return http.DefaultTransport.RoundTrip(r)
	})
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"none"}`))
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + idp.Issuer + `","aud":"command-line","exp":99999999999}`))
	for range 100 {
		if _, err := provider.Verify(t.Context(), header+"."+claims+".AAAA"); err == nil {
			t.Fatal("a forged token is good")
		}
	}
	if asked > 10 {
		t.Errorf("the provider was asked %d times", asked)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzMapping(f *testing.F) {
	f.Add([]byte(groupsFile))
	f.Add([]byte("grants: [{group: a, role: admin, sources: &x [b]}, {group: c, role: viewer, sources: *x}]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := parseMapping(content)
		if err != nil {
			return
		}
		if p, ok := m.principal("", nil); ok {
			t.Errorf("somebody without a group may %+v", p)
		}
		for _, g := range m.Grants {
			p, ok := m.principal("", []string{g.Group})
			if !ok || p.Sources != nil && len(p.Sources) == 0 || p.Role < g.role {
				t.Errorf("%+v gives %+v", g, p)
			}
		}
	})
}
