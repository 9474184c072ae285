package web

import "net/http"

// SignIn is what the page that asks who is there offers.
type SignIn struct {
	Status   int    // of the answer; 0 is 200
	Problem  string // why the last try failed
	Token    bool   // a bearer token may be given, as the field token of a form that is posted to Post
	Post     string
	Provider string // where signing in with the identity provider begins; empty if there is none
	Name     string // of the provider
	Field    string // name and value of a hidden field that Post asks for
	Value    string
	Next     string // where to go after it, sent along as the field next
}

// ShowSignIn answers with the page that asks who is there, in the looks of the
// others. Checking the answer is for the caller.
func (s *Site) ShowSignIn(w http.ResponseWriter, r *http.Request, d SignIn) {
	if d.Status == 0 {
		d.Status = http.StatusOK
	}
	secure(s.page(func(w http.ResponseWriter, r *http.Request) error {
		return s.showStatus(w, r, d.Status, page{View: "signin", Title: "Sign in", Data: &d})
	})).ServeHTTP(w, r)
}
