package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"centrifuge/access"
	pb "centrifuge/gen/centrifuge/v1"
)

// Login is what a command line needs to know to sign somebody in.
type Login struct {
	Issuer   string
	ClientID string
	Scopes   []string
}

// accessService serves centrifuge.v1.AccessService.
type accessService struct {
	login *Login         // nil: nobody signs in
	links *CustomerLinks // nil: none are made
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
