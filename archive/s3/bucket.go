// Package s3 is an [archive.Bucket] on S3, or on a store that speaks its
// protocol. It owns how objects get there whole, once and checked, and what the
// store's refusals mean; credentials and whom to trust are the AWS SDK's affair,
// by its usual chain: environment, shared configuration, web identity, assumed
// roles, the instance's or container's own role.
//
// It deletes nothing, ever, but what is left of an upload in parts that failed.
package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"centrifuge/archive"
)

// Bounds of one request to the store: repetitions get over a connection that
// broke, not over an outage. What calls us has patience for that: the archiver
// tries again, after longer and longer waits, for as long as it takes.
const (
	attempts       = 3
	maxBackoff     = 200 * time.Millisecond
	dialTimeout    = 5 * time.Second
	defaultTimeout = time.Minute
)

// Limits of the size of a part that S3 sets for all but the last, and ours.
const (
	minPartBytes     = 5 << 20
	defaultPartBytes = 16 << 20
)

// Options say which bucket it is and how it is spoken to. Zero fields mean the
// defaults; Bucket is required.
type Options struct {
	Bucket string
	Prefix string // of all objects' names, without slashes at its ends; default none

	// Region is the bucket's. By default it is what the environment or the shared
	// configuration says and, for an Endpoint, "us-east-1".
	Region string

	// Endpoint is the base URL of a store other than Amazon's, and PathStyle has
	// the bucket's name in the path of requests rather than in the host's name.
	Endpoint  string
	PathStyle bool

	// Encryption is that which the store does: "AES256", "aws:kms", or by default
	// what the bucket is configured for. KMSKey is the key of "aws:kms"; by
	// default Amazon's own for S3.
	Encryption string
	KMSKey     string

	// PartBytes is the size of the parts in which larger objects are sent, at
	// least 5 MiB. Default 16 MiB.
	PartBytes int

	// Timeout bounds each request, with its repetitions and the reading of the
	// answer. Default 1 minute.
	Timeout time.Duration
}

// Bucket implements [archive.Bucket].
//
// An object is put on the condition that there is none of that name, or none but
// the one that was compared and found to differ. So what is there already is not
// put again, and a request that reaches the store late, after its sender gave it
// up, cannot undo a later one. A store that does not know such conditions is
// asked without.
type Bucket struct {
	o      Options
	keys   *keys
	client *s3.Client
}

var _ archive.Bucket = (*Bucket)(nil)

// Open makes a Bucket of what the options and the environment say. It does not
// ask the store for anything: one that is down now may be up when it is needed.
// [Bucket.Check] asks.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("archive on S3: %w", err)
	}
	o.PartBytes = cmp.Or(o.PartBytes, defaultPartBytes)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	k := &keys{options: []func(*config.LoadOptions) error{
		config.WithAppID("centrifuge"),
		config.WithHTTPClient(newHTTPClient()),
		config.WithRetryer(newRetryer),
		config.WithLogger(logging.Nop{}),
		config.WithRegion(o.Region),
	}}
	c, err := k.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("archive on S3: %w", err)
	}
	if c.Region == "" {
		if o.Endpoint == "" {
			return nil, fmt.Errorf("archive on S3: the region of bucket %s is not known: give region= or set AWS_REGION", o.Bucket)
		}
		c.Region = "us-east-1"
	}
	client := s3.NewFromConfig(c, func(so *s3.Options) {
		so.Credentials, so.HTTPSignerV4 = k, signer{}
		so.UsePathStyle = o.PathStyle
		so.DisableLogOutputChecksumValidationSkipped = true
		if o.Endpoint != "" {
			so.BaseEndpoint = &o.Endpoint
		}
	})
	return &Bucket{o: o, keys: k, client: client}, nil
}

// newHTTPClient is the SDK's own, which sees to AWS_CA_BUNDLE and proxies.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = dialTimeout })
}

// newRetryer repeats a request at once or not at all. It keeps no account of
// failures over time: after an outage the first request is to be a request.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = maxBackoff
		o.RateLimiter = ratelimit.None
	})
}

// String is the bucket and the prefix as a URL.
func (b *Bucket) String() string { return "s3://" + b.o.Bucket + "/" + b.o.Prefix }

// Check asks the store whether the bucket is there and may be listed.
func (b *Bucket) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	_, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.o.Bucket, Prefix: aws.String(b.key("")), MaxKeys: aws.Int32(1),
	})
	return b.failed("check", "", err)
}

// Get implements [archive.Bucket]. What was stored with a checksum of the whole
// is verified against it.
func (b *Bucket) Get(ctx context.Context, name string) ([]byte, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.o.Bucket, Key: aws.String(b.key(name))})
	if err != nil {
		return nil, b.failed("get", name, err)
	}
	defer out.Body.Close()
	var data bytes.Buffer
	if n := aws.ToInt64(out.ContentLength); n > 0 && n <= 64<<20 {
		data.Grow(int(n) + bytes.MinRead) // without this room ReadFrom grows it once more
	}
	if _, err := data.ReadFrom(out.Body); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the answer was cut short: %w", err)
		}
		return nil, b.failed("get", name, err)
	}
	return data.Bytes(), nil
}

// key is the name of an object in the store.
func (b *Bucket) key(name string) string {
	if b.o.Prefix == "" {
		return name
	}
	return b.o.Prefix + "/" + name
}

func check(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return archive.CheckName(name)
}
