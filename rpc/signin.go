package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"centrifuge/access"
	"centrifuge/access/audit"
	pb "centrifuge/gen/centrifuge/v1"
)

// Login is what a command line needs to know to sign somebody in.
type Login struct {
	Issuer   string
	ClientID string
	Scopes   []string
}

// Links makes links that show one source's deliveries to a customer.
type Links interface {
	// Create makes a link that is good until a time, and returns its path.
	Create(source string, until time.Time) (path string, err error)
}

// CustomerLinks makes customers' links, for the RPC and for pages alike: only for
// admins of the source, and each is written to the audit log.
type CustomerLinks struct {
	Links Links
	Log   *audit.Log // nil: nothing is written
}

// Create makes a link for as long as ttl, to the second, and returns its path. For
// whoever may not, the error is of the type [*access.DeniedError].
func (c CustomerLinks) Create(ctx context.Context, source string, ttl time.Duration) (path string, until time.Time, err error) {
	until = time.Now().Add(ttl).UTC().Truncate(time.Second)
	entry := audit.Entry{Action: "customer.link", Source: source, Detail: fmt.Sprintf("until %s", until.Format(time.RFC3339))}
	err = act(ctx, c.Log, access.Manage, entry, func() (_ int64, err error) {
		path, err = c.Links.Create(source, until)
		return 0, err
	})
	return path, until, err
}

const (
	defaultLink = 24 * time.Hour
	longestLink = 90 * 24 * time.Hour
)

// accessService serves centrifuge.v1.AccessService.
type accessService struct {
	login *Login // nil: nobody signs in
	links Links  // nil: none are made
	log   *audit.Log
}

func (s *accessService) GetLogin(
	context.Context, *connect.Request[pb.GetLoginRequest],
) (*connect.Response[pb.GetLoginResponse], error) {
	if s.login == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("this server has no identity provider; use a token"))
	}
	return connect.NewResponse(&pb.GetLoginResponse{
		Issuer: s.login.Issuer, ClientId: s.login.ClientID, Scopes: s.login.Scopes,
	}), nil
}

func (s *accessService) WhoAmI(
	ctx context.Context, _ *connect.Request[pb.WhoAmIRequest],
) (*connect.Response[pb.WhoAmIResponse], error) {
	p := access.From(ctx)
	sources := make([]string, len(p.Sources))
	for i, source := range p.Sources {
		sources[i] = text(source)
	}
	return connect.NewResponse(&pb.WhoAmIResponse{Name: text(p.Name), Role: p.Role.String(), Sources: sources}), nil
}

func (s *accessService) CreateCustomerLink(
	ctx context.Context, req *connect.Request[pb.CreateCustomerLinkRequest],
) (*connect.Response[pb.CreateCustomerLinkResponse], error) {
	if s.links == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("this server has no dashboard to link to"))
	}
	f := fields{index: -1}
	source := req.Msg.GetSource()
	if source == "" || len(source) > 256 {
		f.fail("source", "has %d bytes; want 1 to 256", len(source))
	}
	ttl := f.duration("ttl", req.Msg.GetTtl())
	if ttl == 0 {
		ttl = defaultLink
	}
	if ttl > longestLink {
		f.fail("ttl", "is %s; at most %s are given", ttl, longestLink)
	}
	if f.err != nil {
		return nil, f.err
	}
	path, until, err := CustomerLinks{s.links, s.log}.Create(ctx, source, ttl)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.CreateCustomerLinkResponse{Path: path, ExpireAt: timestamp(until)}), nil
}
