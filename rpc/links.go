package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	"centrifuge/access"
	"centrifuge/access/audit"
	"centrifuge/access/links"
	pb "centrifuge/gen/centrifuge/v1"
)

// LinkMaker makes a link that shows one source's deliveries to a customer.
type LinkMaker interface {
	// Create makes a link as it is described, and returns its path.
	Create(ctx context.Context, l links.Link) (path string, err error)
}

// CustomerLinks makes, lists and revokes customers' links, for the RPC and for pages
// alike: only for admins of their sources. What is made or revoked is written to the
// audit log.
type CustomerLinks struct {
	Maker    LinkMaker
	Register *links.Register
	Log      *audit.Log // nil: nothing is written
}

// Create makes a link for as long as ttl, to the second, and returns it with its path.
// For whoever may not, the error is of the type [*access.DeniedError].
func (c *CustomerLinks) Create(ctx context.Context, source string, ttl time.Duration) (l links.Link, path string, err error) {
	now := time.Now().UTC()
	l = links.Link{
		ID: links.NewID(), Source: source, By: access.From(ctx).Name,
		Made: now.Truncate(time.Second), Until: now.Add(ttl).Truncate(time.Second),
	}
	entry := audit.Entry{Action: "customer.link", Source: source, Detail: fmt.Sprintf("%s until %s", l.ID, l.Until.Format(time.RFC3339))}
	err = act(ctx, c.Log, access.Manage, entry, func() (_ int64, err error) {
		path, err = c.Maker.Create(ctx, l)
		return 0, err
	})
	return l, path, err
}

// List returns the links to a source, or to all if that is empty, that the caller may
// manage and that have not expired, the newest first.
func (c *CustomerLinks) List(ctx context.Context, source string) ([]links.Link, error) {
	all, err := c.Register.List(ctx)
	if err != nil {
		return nil, err
	}
	p := access.From(ctx)
	return slices.DeleteFunc(all, func(l links.Link) bool {
		return source != "" && l.Source != source || !p.May(access.Manage, l.Source)
	}), nil
}

// Revoke ends a link, or returns [links.ErrUnknown]. For whoever may not, the error is
// of the type [*access.DeniedError].
func (c *CustomerLinks) Revoke(ctx context.Context, id string) error {
	l, err := c.Register.Find(ctx, id)
	if err != nil {
		return err
	}
	entry := audit.Entry{Action: "customer.revoke", Source: l.Source, Detail: id}
	return act(ctx, c.Log, access.Manage, entry, func() (int64, error) {
		return 0, c.Register.Revoke(ctx, id, access.From(ctx).Name)
	})
}

const (
	defaultLink = 24 * time.Hour
	longestLink = 90 * 24 * time.Hour
)

func (s *accessService) CreateCustomerLink(
	ctx context.Context, req *connect.Request[pb.CreateCustomerLinkRequest],
) (*connect.Response[pb.CreateCustomerLinkResponse], error) {
	if s.links == nil {
		return nil, errNoLinks()
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
	l, path, err := s.links.Create(ctx, source, ttl)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.CreateCustomerLinkResponse{Path: path, ExpireAt: timestamp(l.Until), Id: l.ID}), nil
}

func (s *accessService) ListCustomerLinks(
	ctx context.Context, req *connect.Request[pb.ListCustomerLinksRequest],
) (*connect.Response[pb.ListCustomerLinksResponse], error) {
	if s.links == nil {
		return nil, errNoLinks()
	}
	all, err := s.links.List(ctx, req.Msg.GetSource())
	if err != nil {
		return nil, err
	}
	out := make([]*pb.CustomerLink, len(all))
	for i := range all {
		l := &all[i]
		out[i] = &pb.CustomerLink{
			Id: l.ID, Source: text(l.Source), CreatedAt: timestamp(l.Made), CreatedBy: text(l.By), ExpireAt: timestamp(l.Until),
			RevokedAt: timestamp(l.Revocation.Time), RevokedBy: text(l.Revocation.By),
		}
	}
	return connect.NewResponse(&pb.ListCustomerLinksResponse{Links: out}), nil
}

func (s *accessService) RevokeCustomerLink(
	ctx context.Context, req *connect.Request[pb.RevokeCustomerLinkRequest],
) (*connect.Response[pb.RevokeCustomerLinkResponse], error) {
	if s.links == nil {
		return nil, errNoLinks()
	}
	if err := s.links.Revoke(ctx, req.Msg.GetId()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&pb.RevokeCustomerLinkResponse{}), nil
}

func errNoLinks() error {
	return connect.NewError(connect.CodeFailedPrecondition, errors.New("this server has no dashboard to link to"))
}
