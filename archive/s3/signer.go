package s3

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signer signs each request by the secret that it is given. The SDK's own keeps
// what it derived from a secret for a day, by the access key alone: it would go on
// with the old secret of a key whose secret was replaced, as stores of one's own
// have them whose access keys are users' names.
type signer struct{}

func (signer) SignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string,
	at time.Time, options ...func(*v4.SignerOptions),
) error {
	return v4.NewSigner().SignHTTP(ctx, credentials, r, payloadHash, service, region, at, options...)
}
