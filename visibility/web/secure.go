package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"centrifuge/access"
)

// policy is what a browser may load and do on our pages: our own files, and
// nothing that is written into the page itself. Whatever a name or a response body
// smuggles in, no script of it runs.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that hold for every answer.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		next.ServeHTTP(w, r)
	})
}

const (
	forgeryCookie = "centrifuge_form"
	forgeryField  = "csrf"
	forgeryHeader = "X-CSRF-Token"
)

// formToken is what a form of this browser and principal has to bring: only a
// page of ours can read it. It sets the cookie that it is made from if there is none.
func (s *Site) formToken(w http.ResponseWriter, r *http.Request) string {
	cookie, err := r.Cookie(forgeryCookie)
	if err != nil || len(cookie.Value) != 24 {
		cookie = &http.Cookie{
			Name: forgeryCookie, Value: rand.Text()[:24], Path: "/", HttpOnly: true,
			Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
		}
		http.SetCookie(w, cookie)
	}
	return s.sign(cookie.Value, access.From(r.Context()).Name)
}

func (s *Site) sign(cookie, name string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(cookie + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// genuine reports whether a request that changes something comes from a page of
// ours.
func (s *Site) genuine(r *http.Request) bool {
	cookie, err := r.Cookie(forgeryCookie)
	if err != nil {
		return false
	}
	given := r.Header.Get(forgeryHeader)
	if given == "" {
		given = r.PostFormValue(forgeryField)
	}
	return hmac.Equal([]byte(given), []byte(s.sign(cookie.Value, access.From(r.Context()).Name)))
}
