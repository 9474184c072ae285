// Package identitytest is an OpenID Connect provider for tests: it serves
// discovery, keys, the authorization code flow with PKCE and the device flow on
// loopback, and signs in whomever a test says without asking.
package identitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Clients of the provider: one with a secret, one without for command lines.
const (
	ClientID     = "dashboard"
	ClientSecret = "dashboard-secret"
	CommandID    = "command-line"
)

// Provider is a provider at work.
type Provider struct {
	Issuer string

	key *ecdsa.PrivateKey
	mu  struct {
		sync.Mutex
		user    map[string]any     // claims of whoever signs in
		codes   map[string]request // authorizations that wait for their exchange
		devices map[string]int     // polls that a device has to wait for yet
		refuse  string             // the error that sign-ins end with
		spoil   func(claims map[string]any)
	}
}

type request struct{ client, challenge, nonce, redirect string }

// Start starts a provider that ends with the test.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.mu.codes, p.mu.devices = map[string]request{}, map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /device", p.device)
	mux.HandleFunc("POST /token", p.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

// SignsIn says who signs in from now on.
func (p *Provider) SignsIn(email string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.user = map[string]any{"sub": email, "email": email, "groups": groups}
}

// Refuse makes sign-ins end with an error, such as access_denied; none if empty.
func (p *Provider) Refuse(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.refuse = code
}

// Spoil lets a test change the claims of the tokens that are handed out.
func (p *Provider) Spoil(spoil func(claims map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.spoil = spoil
}

// Token is an ID token for a client and whoever signs in now, with some claims
// added or, if nil, left out.
func (p *Provider) Token(t testing.TB, client string, claims map[string]any) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	raw, err := p.sign(client, claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sign signs a token. Its caller holds the lock.
func (p *Provider) sign(client string, more map[string]any) (string, error) {
	claims := map[string]any{
		"iss": p.Issuer, "aud": client, "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix(),
	}
	for _, set := range []map[string]any{p.mu.user, more} {
		for name, value := range set {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	if p.mu.spoil != nil {
		p.mu.spoil(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "1"}}, nil)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer":                                p.Issuer,
		"authorization_endpoint":                p.Issuer + "/authorize",
		"token_endpoint":                        p.Issuer + "/token",
		"device_authorization_endpoint":         p.Issuer + "/device",
		"jwks_uri":                              p.Issuer + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p.key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"},
	}})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	back := url.Values{"state": {q.Get("state")}}
	switch {
	case q.Get("client_id") != ClientID && q.Get("client_id") != CommandID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256":
		http.Error(w, "not a request of a client", http.StatusBadRequest)
		return
	case p.mu.refuse != "":
		back.Set("error", p.mu.refuse)
	default:
		code := rand.Text()
		p.mu.codes[code] = request{q.Get("client_id"), q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// device begins a device flow that is approved at the second poll.
func (p *Provider) device(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("client_id") != CommandID {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code := rand.Text()
	p.mu.devices[code] = 1
	answer(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": "ABCD-EFGH", "verification_uri": p.Issuer + "/activate", "expires_in": 60, "interval": 1,
	})
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	client, more, refusal := p.exchange(r)
	if refusal == "" && p.mu.refuse != "" {
		refusal = p.mu.refuse
	}
	if refusal != "" {
		answer(w, http.StatusBadRequest, map[string]any{"error": refusal})
		return
	}
	raw, err := p.sign(client, more)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "id_token": raw})
}

// exchange checks what is given for a token. Its caller holds the lock.
func (p *Provider) exchange(r *http.Request) (client string, more map[string]any, refusal string) {
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		id, secret, _ := r.BasicAuth()
		if id == "" {
			id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		asked, ok := p.mu.codes[r.PostFormValue("code")]
		delete(p.mu.codes, r.PostFormValue("code"))
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		switch {
		case id != ClientID && id != CommandID || secret != map[string]string{ClientID: ClientSecret}[id]:
			return "", nil, "invalid_client"
		case !ok || asked.client != id || asked.redirect != r.PostFormValue("redirect_uri") ||
			asked.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
			return "", nil, "invalid_grant"
		}
		return id, map[string]any{"nonce": asked.nonce}, ""
	case "urn:ietf:params:oauth:grant-type:device_code":
		code := r.PostFormValue("device_code")
		left, ok := p.mu.devices[code]
		if !ok || r.PostFormValue("client_id") != CommandID {
			return "", nil, "invalid_grant"
		}
		if left > 0 {
			p.mu.devices[code]--
			return "", nil, "authorization_pending"
		}
		delete(p.mu.devices, code)
		return CommandID, nil, ""
	default:
		return "", nil, "unsupported_grant_type"
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
}
