// Package access says who may do what: roles, the principal that a request acts
// for, and the table of what each procedure needs. It is the vocabulary alone;
// how somebody proves who they are is the business of the packages below it and
// of the listener.
//
// What nobody was granted is refused: the zero Principal may do nothing, and a
// procedure that the table does not name may be called by nobody.
package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Role is what somebody may do at all. The zero Role may do nothing.
type Role uint8

// The roles. A submitter may do nothing but submit jobs; a viewer sees; an
// operator also acts on queues and the archive; an admin may do everything.
const (
	Nobody Role = iota
	Submitter
	Viewer
	Operator
	Admin
)

var roles = [...]string{Nobody: "nobody", Submitter: "submitter", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// String is the role's name in files and on pages.
func (r Role) String() string {
	if int(r) < len(roles) {
		return roles[r]
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}

// ParseRole reads a role's name. Nobody is not among them: whom nothing is
// granted is left out.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roles[:], name); i > int(Nobody) {
		return Role(i), nil
	}
	return Nobody, fmt.Errorf("%q is no role; want %s", name, strings.Join(roles[1:], ", "))
}

// Right is what a procedure or a page needs of its caller.
type Right uint8

// The rights. None is the zero Right, which nobody has.
const (
	None    Right = iota
	Anyone        // needs no sign-in
	SignIn        // needs any role
	Submit        // submitters and admins
	View          // viewers and above
	Operate       // operators and admins
	Manage        // admins
)

// Principal is who a request acts for, and how far its rights reach. It is not
// changed once it is made.
type Principal struct {
	// Name is who it is, for people to read: a token's name, or the name that an
	// identity provider gave.
	Name string
	Role Role
	// Sources are those that its rights are bound to; nil is all of them. A list
	// that is empty but not nil is none.
	Sources []string
	// Customer is set for who came by a link to one source's deliveries, and is
	// no colleague: names of other sources, of machines and of people are not
	// shown to it.
	Customer bool
	// Address is where its request came from.
	Address string
}

// Local is who acts where there is nobody to tell apart: a server without tokens
// and without an identity provider, which only this machine can reach.
func Local() Principal { return Principal{Name: "local", Role: Admin} }

// May reports whether the principal has the right for a source. No source means
// all of them, for which a principal that is bound to some has no rights.
func (p Principal) May(right Right, source string) bool {
	return p.has(right) && (p.Sources == nil || source != "" && slices.Contains(p.Sources, source))
}

// Has reports whether the principal has the right for some source.
func (p Principal) Has(right Right) bool {
	return p.has(right) && (p.Sources == nil || len(p.Sources) > 0)
}

func (p Principal) has(right Right) bool {
	switch right {
	case Anyone:
		return true
	case SignIn:
		return p.Role > Nobody && p.Role <= Admin
	case Submit:
		return p.Role == Submitter || p.Role == Admin
	case View:
		return p.Role >= Viewer && p.Role <= Admin
	case Operate:
		return p.Role == Operator || p.Role == Admin
	case Manage:
		return p.Role == Admin
	default:
		return false
	}
}

// MayView reports whether the principal may see a source's queues and jobs; no
// source means all of them.
func (p Principal) MayView(source string) bool { return p.May(View, source) }

// MayOperate reports whether the principal may act on a source's queues and
// archived jobs; no source means all of them.
func (p Principal) MayOperate(source string) bool { return p.May(Operate, source) }

// MayAdmin reports whether the principal may do what concerns the whole server,
// such as reading its audit log.
func (p Principal) MayAdmin() bool { return p.May(Manage, "") }

// Narrow says which source a principal sees that asked for one, or, with none,
// for all. One that is bound to a single source sees that; one that is bound to
// several has to name which. Errors are of the type [*DeniedError].
func (p Principal) Narrow(source string) (string, error) {
	if source == "" && len(p.Sources) == 1 {
		source = p.Sources[0]
	}
	if !p.MayView(source) {
		return "", p.Denied(View, source)
	}
	return source, nil
}

// Denied is the refusal of a right that the principal does not have.
func (p Principal) Denied(right Right, source string) error {
	return &DeniedError{Principal: p, Right: right, Source: source}
}

// DeniedError tells a principal what it may not do. Its text says nothing that
// depends on whether a source exists.
type DeniedError struct {
	Principal Principal
	Right     Right
	Source    string
}

func (e *DeniedError) Error() string {
	p := e.Principal
	switch {
	case !p.has(e.Right):
		return fmt.Sprintf("the role %s may not do this", p.Role)
	case len(p.Sources) == 0:
		return "these rights are bound to no source"
	case e.Source == "":
		return "these rights are bound to sources; name one of " + strings.Join(p.Sources, ", ")
	default:
		return "these rights do not reach this source; they are bound to " + strings.Join(p.Sources, ", ")
	}
}

type principalKey struct{}

// With is the context of a request that acts for the principal.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From is whom a request acts for; the zero Principal, which may do nothing, if
// nobody said.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
