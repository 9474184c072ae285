package rpc

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"connectrpc.com/connect"
)

// gate lets requests pass: with tokens those that bring one, without tokens
// those that were addressed to this machine.
type gate struct {
	tokens  *Tokens // nil: none
	answers *connect.ErrorWriter
}

// guard lets only requests through that may pass. It answers the others before
// their bodies are read, in the protocol they speak.
func (g *gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note := noted(r.Context())
		caller, err := g.admit(r)
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
		note.caller = caller
		next.ServeHTTP(w, r)
	})
}

func (g *gate) admit(r *http.Request) (caller string, err *connect.Error) {
	if g.tokens == nil {
		if !addressed(r.Host) {
			return "", connect.NewError(connect.CodePermissionDenied, fmt.Errorf(
				"without tokens this server answers only under an IP address or localhost, not as %q", clip(r.Host)))
		}
		return "", nil
	}
	given := r.Header.Get("Authorization")
	if given == "" {
		return "", connect.NewError(connect.CodeUnauthenticated, errors.New(`send a token: "Authorization: Bearer TOKEN"`))
	}
	caller, ok := g.tokens.Caller(given)
	if !ok {
		return "", connect.NewError(connect.CodeUnauthenticated, errors.New("the token is not valid"))
	}
	return caller, nil
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

// CheckExposure refuses to listen where other machines could call without a
// token. The address is as given to [net.Listen]: HOST:PORT.
func CheckExposure(address string, haveTokens bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: want HOST:PORT: %w", address, err)
	}
	if haveTokens || strings.EqualFold(host, "localhost") {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen on %q: others than this machine could submit and read jobs; "+
		"give a token file (--token-file), or listen on 127.0.0.1", address)
}
