package s3

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// keys are the credentials that the SDK's chain finds. Those that end at a known
// time the SDK renews by itself. All others it keeps for as long as the process
// lives, so that keys which were replaced in a file, or in what a command prints,
// would need a restart: the chain is begun anew when the store does not know them,
// or when it had none to give.
// It is safe for concurrent use.
type keys struct {
	options []func(*config.LoadOptions) error

	mu    sync.Mutex
	found aws.CredentialsProvider // nil: to be looked for
}

// Retrieve implements [aws.CredentialsProvider].
func (k *keys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	k.mu.Lock()
	found := k.found
	k.mu.Unlock()
	if found == nil {
		c, err := k.load(ctx)
		if err != nil {
			return aws.Credentials{}, err
		}
		found = c.Credentials
	}
	c, err := found.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		k.forget()
	}
	return c, err
}

// load reads what the environment and the shared files say now.
func (k *keys) load(ctx context.Context) (aws.Config, error) {
	c, err := config.LoadDefaultConfig(ctx, k.options...)
	if err != nil {
		return c, fmt.Errorf("AWS configuration: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found = c.Credentials
	return c, nil
}

// forget has the next request look for credentials anew.
func (k *keys) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found = nil
}
