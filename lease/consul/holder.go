package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Holder is who holds a lease, or held it last.
type Holder struct {
	Name    string    `json:"-"` // of the lease
	Held    bool      `json:"-"` // whether somebody holds it
	Epoch   uint64    `json:"epoch"`
	Owner   string    `json:"owner,omitempty"`
	Address string    `json:"address,omitempty"`
	Host    string    `json:"host,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Since   time.Time `json:"since"` // of this epoch, by the holder's clock
}

// Holders returns all leases there ever were, in the order of their names.
func (c *Client) Holders(ctx context.Context) ([]Holder, error) {
	pairs, _, err := c.api.KV().List(c.prefix, reading(ctx))
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	holders := make([]Holder, len(pairs))
	for i, pair := range pairs {
		holder, err := decode(pair.Value)
		if err != nil {
			return nil, fmt.Errorf("list leases: key %s: %w", pair.Key, err)
		}
		holder.Name = strings.TrimPrefix(pair.Key, c.prefix)
		holder.Held = pair.Session != ""
		holders[i] = holder
	}
	return holders, nil
}

func (c *Client) encode(epoch uint64) ([]byte, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return json.Marshal(Holder{
		Epoch: epoch, Owner: c.owner, Address: c.address, Host: host, PID: os.Getpid(), Since: time.Now().UTC(),
	})
}

// decode takes an empty value for one that nobody has held yet.
func decode(value []byte) (Holder, error) {
	var holder Holder
	if len(value) == 0 {
		return holder, nil
	}
	if err := json.Unmarshal(value, &holder); err != nil {
		return Holder{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return holder, nil
}
