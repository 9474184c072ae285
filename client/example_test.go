package client_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"centrifuge/client"
	pb "centrifuge/gen/centrifuge/v1"
)

// A consumer reads a log, such as a topic's partition, in which every message has an
// offset, and hands each message to a fleet of Directors exactly once. All that it
// must not lose is its position, which a database keeps: the offset of the next
// message together with the transaction that the ones before it are in.
type consumer struct {
	log   []string // by offset
	store positions
	fleet interface {
		Submit(ctx context.Context, req *pb.SubmitRequest) (*pb.SubmitResponse, error)
		Commit(ctx context.Context, transactionIDs ...string) error
	}
	endpoint string
}

// position is where a consumer stands. The messages from Since on, up to Next, are
// in Transaction, which is to be committed; there is none if it is empty.
type position struct {
	Next, Since int
	Transaction string
}

// positions keep a position durably. Save replaces it at a stroke.
type positions interface {
	Load(ctx context.Context) (position, error)
	Save(ctx context.Context, p position) error
}

// run moves messages until the log is at its end or something fails. It may be
// stopped anywhere, by a kill too, and begun anew.
func (c *consumer) run(ctx context.Context) error {
	for {
		p, err := c.store.Load(ctx)
		if err != nil {
			return err
		}
		if p.Transaction != "" {
			err := c.fleet.Commit(ctx, p.Transaction)
			if _, aborted := errors.AsType[*client.AbortedError](err); aborted {
				p = position{Next: p.Since} // it came too late: these messages go once more
			} else if err != nil {
				return err // not known yet; it is asked for again
			} else {
				p = position{Next: p.Next}
			}
			if err := c.store.Save(ctx, p); err != nil {
				return err
			}
		}
		if p.Next == len(c.log) {
			return nil
		}
		next := min(p.Next+3, len(c.log))
		req := &pb.SubmitRequest{TransactionId: rand.Text(), Prepare: true}
		for _, message := range c.log[p.Next:next] {
			req.Jobs = append(req.Jobs, &pb.JobSpec{Source: "log", Endpoint: c.endpoint, Payload: []byte(message)})
		}
		if _, err := c.fleet.Submit(ctx, req); err != nil {
			return err // whether it is prepared or not, nobody will commit it
		}
		if err := c.store.Save(ctx, position{Next: next, Since: p.Next, Transaction: req.GetTransactionId()}); err != nil {
			return err
		}
	}
}

// sqlPositions keep the position in a row of a database.
type sqlPositions struct{ db *sql.DB }

func openPositions(path string) (*sqlPositions, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(`CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY, next INT, since INT, transaction_id TEXT);
		INSERT OR IGNORE INTO position VALUES (1, 0, 0, '')`)
	return &sqlPositions{db}, err
}

func (s *sqlPositions) Load(ctx context.Context) (p position, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT next, since, transaction_id FROM position`).Scan(&p.Next, &p.Since, &p.Transaction)
	return p, err
}

func (s *sqlPositions) Save(ctx context.Context, p position) error {
	_, err := s.db.ExecContext(ctx, `UPDATE position SET next = ?, since = ?, transaction_id = ?`, p.Next, p.Since, p.Transaction)
	return err
}

// A consumer of a log moves each message exactly once: it prepares a batch, logs its
// own position together with the id of that transaction, and only then commits it.
// Whoever dies, and whenever: the position tells which transaction is to be
// committed, and a transaction that no position tells of is aborted.
func Example_exactlyOnce() {
	dir, err := os.MkdirTemp("", "consumer")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is in the folder for what is temporary
	director, received, stop := exampleDirector(dir)
	defer stop()

	store, err := openPositions(filepath.Join(dir, "consumer.db"))
	if err != nil {
		panic(err)
	}
	defer store.db.Close()
	fleet, err := client.NewFleet(client.FleetOptions{URLs: []string{director}})
	if err != nil {
		panic(err)
	}
	defer fleet.Close()
	c := &consumer{
		log:   []string{"one", "two", "three", "four", "five"},
		store: store, fleet: fleet, endpoint: received.url,
	}
	if err := c.run(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(received.await(5))
	// Output: [five four one three two]
}
