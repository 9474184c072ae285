package rpc

import (
	"context"
	"strings"

	"centrifuge"
	"centrifuge/access"
	"centrifuge/visibility"
)

// Whoever may act on a source's jobs gets their requests whole. Others get them
// without what looks like a secret, and may not guess at that by searching for it.
func seesSecrets(ctx context.Context) bool { return access.From(ctx).Has(access.Operate) }

func shownEndpoint(ctx context.Context, endpoint string) string {
	if endpoint == "" || seesSecrets(ctx) {
		return endpoint
	}
	return visibility.RedactEndpoint(endpoint)
}

func shownHeaders(ctx context.Context, headers []centrifuge.Header) []centrifuge.Header {
	if seesSecrets(ctx) {
		return headers
	}
	return visibility.RedactHeaders(headers)
}

// mayMatch refuses to look for endpoints with what the caller is not shown of them.
func (f *fields) mayMatch(ctx context.Context, name, endpoint string) {
	if strings.ContainsAny(endpoint, "?@") && !seesSecrets(ctx) {
		f.fail(name, "only operators may look for a query or a password; look for what comes before, with * after it")
	}
}
