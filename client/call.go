package client

import (
	"context"
	"time"

	"connectrpc.com/connect"
)

// call is what every single call carries.
type call struct {
	timeout time.Duration
	token   string
}

func (c call) interceptor() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			if c.token != "" {
				req.Header().Set("Authorization", "Bearer "+c.token)
			}
			return next(ctx, req)
		}
	}
}
