package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// errNoBrowser means that no browser could be opened.
var errNoBrowser = errors.New("no browser could be opened")

// browserPatience is how long somebody may take to sign in.
const browserPatience = 5 * time.Minute

// browserOpener is the command that opens a page in this machine's browser; empty if it
// has none, as where one is signed in from afar.
func browserOpener() string {
	if opener := os.Getenv("BROWSER"); opener != "" {
		return opener
	}
	if runtime.GOOS == "darwin" {
		return "open"
	}
	if cmp.Or(os.Getenv("DISPLAY"), os.Getenv("WAYLAND_DISPLAY")) == "" {
		return ""
	}
	opener, err := exec.LookPath("xdg-open")
	if err != nil {
		return ""
	}
	return opener
}

// signInByBrowser runs the authorization code flow with PKCE. The way back from the
// provider is a port of loopback that is open meanwhile (RFC 8252).
func (p *provider) signInByBrowser(ctx context.Context, out io.Writer, opener string) (login, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return login{}, fmt.Errorf("wait for the browser: %w", err)
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	back := make(chan returned, 1)
	server := &http.Server{Handler: wayBack(state, back), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // for the page that says it is done
		defer cancel()
		if server.Shutdown(ending) != nil {
			_ = server.Close()
		}
		<-served
	}()
	p.RedirectURL = "http://" + listener.Addr().String() + "/"
	page := p.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))
	fmt.Fprintf(out, "Sign in in the browser that opens, or interrupt this and add --device.\n%s\n", printable(page))
	if err := exec.CommandContext(ctx, opener, page).Run(); err != nil {
		return login{}, fmt.Errorf("%w: %s: %w", errNoBrowser, opener, err)
	}
	waiting, cancel := context.WithTimeout(ctx, browserPatience)
	defer cancel()
	select {
	case r := <-back:
		if r.refusal != "" {
			return login{}, fmt.Errorf("sign in: the identity provider refused: %s", printable(r.refusal))
		}
		answer, err := p.Exchange(ctx, r.code, oauth2.VerifierOption(verifier))
		if err != nil {
			return login{}, fmt.Errorf("sign in: %w", err)
		}
		return p.verify(ctx, answer, nonce)
	case <-waiting.Done():
		return login{}, fmt.Errorf("sign in: wait for the browser: %w", waiting.Err())
	}
}

// returned is what a browser brought back from the provider.
type returned struct{ code, refusal string }

// wayBack takes what the browser brings back, once, if it is of the sign-in of the state.
func wayBack(state string, back chan<- returned) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Referrer-Policy", "no-referrer") // the address has the code
		if r.URL.Path != "/" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not of the sign-in that waits here.", http.StatusBadRequest)
			return
		}
		select {
		case back <- returned{q.Get("code"), q.Get("error")}:
			_, _ = io.WriteString(w, "Go back to the terminal. This window can be closed.\n")
		default:
			http.Error(w, "This sign-in was used already.", http.StatusConflict)
		}
	})
}
