package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"connectrpc.com/connect"

	"centrifuge/access"
)

// gate lets requests pass that act for somebody who may send them: with tokens
// or an identity provider those that prove whom they act for, without either
// those that were addressed to this machine.
type gate struct {
	tokens   *Tokens  // nil: none
	identity Identity // nil: none
	answers  *connect.ErrorWriter
}

// Identity verifies the tokens of an identity provider.
type Identity interface {
	// Verify tells for whom a token stands. Its error is told to the caller.
	Verify(ctx context.Context, token string) (access.Principal, error)
}

// guard lets only requests through whose principals meet what their path needs.
// It answers the others before their bodies are read, in the protocol they speak.
func (g *gate) guard(needs func(path string) access.Need, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note := noted(r.Context())
		need := needs(r.URL.Path)
		caller, err := g.admit(r, need)
		note.caller = caller.Name
		if err != nil {
			note.code = err.Code().String()
			if err.Code() == connect.CodeUnauthenticated {
				w.Header().Set("WWW-Authenticate", `Bearer realm="centrifuge"`)
			}
			if r.ProtoMajor == 1 {
				// Otherwise net/http reads on, in the hope of a next request.
				w.Header().Set("Connection", "close")
			}
			_ = g.answers.Write(w, r, err) // the caller is gone: nobody is left to tell
			return
		}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), caller)))
	})
}

// admit tells whom a request acts for, and why it may not pass.
func (g *gate) admit(r *http.Request, need access.Need) (access.Principal, *connect.Error) {
	caller, err := g.caller(r, need)
	if err != nil {
		return access.Principal{}, err
	}
	caller.Address = remoteHost(r)
	if err := need.Met(caller); err != nil {
		return caller, newAnswer(connect.CodePermissionDenied, err)
	}
	return caller, nil
}

func (g *gate) caller(r *http.Request, need access.Need) (access.Principal, *connect.Error) {
	if g.tokens == nil && g.identity == nil {
		if !addressed(r.Host) {
			return access.Principal{}, connect.NewError(connect.CodePermissionDenied, fmt.Errorf(
				"without tokens this server answers only under an IP address or localhost, not as %q", clip(r.Host)))
		}
		return access.Local(), nil
	}
	given := r.Header.Get("Authorization")
	if given == "" {
		if need.Right == access.Anyone {
			return access.Principal{}, nil
		}
		return access.Principal{}, connect.NewError(connect.CodeUnauthenticated, errors.New(`send a token: "Authorization: Bearer TOKEN"`))
	}
	secret, ok := bearer(given)
	if ok && g.tokens != nil {
		if p, ok := g.tokens.Holder(Digest(secret)); ok {
			return p, nil
		}
	}
	if ok && g.identity != nil {
		p, err := g.identity.Verify(r.Context(), secret)
		if err == nil {
			return p, nil
		}
		return access.Principal{}, newAnswer(connect.CodeUnauthenticated, err)
	}
	return access.Principal{}, connect.NewError(connect.CodeUnauthenticated, errors.New("the token is not valid"))
}

// ofProcedure is what a path below a service needs. What the schema does not have
// needs a sign-in, before its caller is told that it does not exist; what the
// schema has and the table of rights has not, nobody may call.
func ofProcedure() func(path string) access.Need {
	known := procedures()
	return func(path string) access.Need {
		if !known[path] {
			return access.Need{Right: access.SignIn}
		}
		return access.OfProcedure(path)
	}
}

// always is one need for all paths.
func always(need access.Need) func(string) access.Need {
	return func(string) access.Need { return need }
}

func remoteHost(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// addressed reports whether a Host header names this machine in a way that no
// web page can: a page may let its own name resolve to 127.0.0.1 and have its
// visitor's browser call from inside (DNS rebinding), but it has to use a name.
func addressed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// CheckExposure refuses to listen where other machines could call without saying
// who they are: without tokens and without an identity provider. The address is as
// given to [net.Listen]: HOST:PORT.
func CheckExposure(address string, closed bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: want HOST:PORT: %w", address, err)
	}
	if closed || strings.EqualFold(host, "localhost") {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen on %q: others than this machine could submit and read jobs; "+
		"give a token file (--token-file) or an identity provider (--oidc-issuer), or listen on 127.0.0.1", address)
}
