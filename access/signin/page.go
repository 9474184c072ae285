package signin

import (
	"html/template"
	"net/http"
	"net/url"
)

// Page is a page of the door: it asks for a sign-in, or says why something was
// refused. Every text of it may come from a stranger.
type Page struct {
	Status  int
	Title   string
	Message string // what went wrong; empty if nothing did

	// SignIn is set if the page asks for a sign-in. Then Token tells whether it takes
	// a token, posted to /sign-in in the fields token and next; and Provider, if it is
	// not empty, is the link to the identity provider.
	SignIn   bool
	Token    bool
	Provider string
	Next     string // where to go afterwards
}

// page is the page that asks for a sign-in.
func (d *Door) page(status int, next, message string) Page {
	p := Page{Status: status, Title: "Sign in", Message: message, SignIn: true, Token: d.o.Tokens != nil, Next: next}
	if d.o.Identity != nil {
		p.Provider = beginPath + "?next=" + url.QueryEscape(next)
	}
	return p
}

// refuse says why a request is not answered.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, status int, message string) {
	d.o.Render(w, r, Page{Status: status, Title: http.StatusText(status), Message: message})
}

// fail answers a request that we could not serve.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	d.o.Logger.ErrorContext(r.Context(), "a sign-in could not be served", "err", err)
	d.refuse(w, r, http.StatusInternalServerError, "Something is wrong here; the server's log says more.")
}

const plain = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}} - Centrifuge</title>
<main>
<h1>{{.Title}}</h1>
{{with .Message}}<p role="alert">{{.}}</p>{{end}}
{{if .Provider}}<p><a href="{{.Provider}}">Sign in with your company's account</a></p>{{end}}
{{if .Token}}<form method="post" action="/sign-in">
<input type="hidden" name="next" value="{{.Next}}">
<p><label>Token <input type="password" name="token" autocomplete="current-password" required></label>
<button>Sign in</button></p>
</form>{{end}}
</main>
`

// Plain renders pages that need nothing but themselves.
func Plain() func(http.ResponseWriter, *http.Request, Page) {
	page := template.Must(template.New("").Parse(plain))
	return func(w http.ResponseWriter, _ *http.Request, p Page) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		w.WriteHeader(p.Status)
		_ = page.Execute(w, p) // the visitor may be gone
	}
}
