package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"centrifuge/jobdb"
	"centrifuge/jobdb/sqlbody"
)

// DefaultPrefix is what the names of a [Pool]'s schemas begin with.
const DefaultPrefix = "centrifuge_"

// poolPatience is how long one server may take to list or drop what it has, so that
// one that hangs does not hold up the others.
const poolPatience = 10 * time.Second

// PoolOptions say which servers a [Pool] has.
type PoolOptions struct {
	// Servers are told apart by their addresses, which are their names in the
	// pool. Their users need all privileges on the schemas of the prefix, and to
	// create them.
	Servers []Server

	// Prefix is what the names of the schemas begin with, before that of the
	// JobDB; default [DefaultPrefix]. Schemas that do not begin so are left alone.
	Prefix string

	// Logger is that of [Options].
	Logger *slog.Logger
}

// Pool is the JobDBs of some servers, each in a schema: centrifuge_jobdb-000001
// and so on. It implements [jobdb.Pool].
type Pool struct {
	servers []Server
	prefix  string
	logger  *slog.Logger
	pools   []*sql.DB // of the servers, without a schema
}

var _ jobdb.Pool = (*Pool)(nil)

// NewPool returns a pool. It does not connect yet.
func NewPool(o PoolOptions) (*Pool, error) {
	p := &Pool{servers: o.Servers, prefix: cmp.Or(o.Prefix, DefaultPrefix), logger: o.Logger}
	if len(p.servers) == 0 {
		return nil, errors.New("pool of JobDBs: no server")
	}
	if !schemaName.MatchString(p.prefix + jobdb.Name(1)) {
		return nil, fmt.Errorf("pool of JobDBs: prefix %q: want letters, digits, _ or -", p.prefix)
	}
	for i := range p.servers {
		if slices.ContainsFunc(p.servers[:i], func(s Server) bool { return s.Address == p.servers[i].Address }) {
			return nil, fmt.Errorf("pool of JobDBs: server %s is named twice", p.servers[i].Address)
		}
		connector, err := p.servers[i].connector("", session{timeouts: defaults()})
		if err != nil {
			return nil, fmt.Errorf("pool of JobDBs: server %s: %w", p.servers[i].Address, err)
		}
		pool := sql.OpenDB(connector)
		pool.SetMaxIdleConns(1)
		pool.SetConnMaxIdleTime(maxIdle)
		p.pools = append(p.pools, pool)
	}
	return p, nil
}

// Close ends idle connections. JobDBs that were opened are closed by who opened
// them.
func (p *Pool) Close() error {
	for _, pool := range p.pools {
		_ = pool.Close() // what was only asked of has nothing to lose
	}
	return nil
}

// Servers implements [jobdb.Pool]; it asks all of them at once.
func (p *Pool) Servers(ctx context.Context) ([]jobdb.Server, error) {
	servers := make([]jobdb.Server, len(p.servers))
	var asked sync.WaitGroup
	for i := range p.servers {
		servers[i].Name = p.servers[i].Address
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, poolPatience)
			defer cancel()
			servers[i].Files, servers[i].Err = p.list(ctx, p.pools[i])
		})
	}
	asked.Wait()
	return servers, ctx.Err()
}

// list asks for the sizes as they are, where MySQL would tell those of a day ago;
// MariaDB, which has no such setting, passes over the versioned comment.
func (p *Pool) list(ctx context.Context, pool *sql.DB) ([]jobdb.File, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("list JobDBs: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, `SET SESSION autocommit = 1 /*!80000 , SESSION information_schema_stats_expiry = 0 */`); err != nil {
		return nil, fmt.Errorf("list JobDBs: %w", err)
	}
	rows, err := conn.QueryContext(ctx, `SELECT s.schema_name, COALESCE(SUM(t.data_length + t.index_length), 0)
		FROM information_schema.schemata s LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name
		WHERE LEFT(s.schema_name, ?) = ? GROUP BY s.schema_name`, len(p.prefix), p.prefix)
	if err != nil {
		return nil, fmt.Errorf("list JobDBs: %w", err)
	}
	defer rows.Close()
	var files []jobdb.File
	for rows.Next() {
		var schema string
		var size int64
		if err := rows.Scan(&schema, &size); err != nil {
			return nil, fmt.Errorf("list JobDBs: %w", err)
		}
		name, ok := strings.CutPrefix(schema, p.prefix)
		if _, isName := jobdb.Number(name); ok && isName {
			files = append(files, jobdb.File{Name: name, Bytes: size})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list JobDBs: %w", err)
	}
	slices.SortFunc(files, func(a, b jobdb.File) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}

// Create implements [jobdb.Pool].
func (p *Pool) Create(ctx context.Context, server, name string) error {
	i, schema, err := p.find(server, name)
	if err != nil {
		return fmt.Errorf("create JobDB: %w", err)
	}
	if err := p.create(ctx, i, schema); err != nil {
		return fmt.Errorf("create JobDB %s on %s: %w", schema, server, err)
	}
	return nil
}

func (p *Pool) create(ctx context.Context, server int, schema string) error {
	if err := create(ctx, p.servers[server], schema); err != nil {
		return err
	}
	connector, err := p.servers[server].connector(schema, session{timeouts: defaults()})
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	return errors.Join(migrate(ctx, db), db.Close())
}

// Open implements [jobdb.Pool].
func (p *Pool) Open(ctx context.Context, server, name string, epoch uint64) (jobdb.DB, error) {
	i, schema, err := p.find(server, name)
	if err != nil {
		return nil, fmt.Errorf("open JobDB: %w", err)
	}
	db, err := Open(ctx, Options{Server: p.servers[i], Schema: schema, Epoch: epoch, Logger: p.logger})
	if err != nil {
		return nil, err // not a nil *DB in an interface
	}
	return db, nil
}

// Read implements [jobdb.Pool]. It has one connection.
func (p *Pool) Read(ctx context.Context, server, name string) (jobdb.Reader, error) {
	i, schema, err := p.find(server, name)
	if err != nil {
		return nil, fmt.Errorf("read JobDB: %w", err)
	}
	connector, err := p.servers[i].connector(schema, session{isolation: "REPEATABLE READ", timeouts: defaults()})
	if err != nil {
		return nil, fmt.Errorf("read JobDB %s on %s: %w", schema, server, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	r, err := sqlbody.OpenReader(ctx, dialect(0), db)
	if err != nil {
		return nil, fmt.Errorf("read JobDB %s on %s: %w", schema, server, err)
	}
	return r, nil
}

// Drop implements [jobdb.Pool]. The server refuses after a while if somebody is
// in the middle of a transaction there.
func (p *Pool) Drop(ctx context.Context, server, name string) error {
	i, schema, err := p.find(server, name)
	if err != nil {
		return fmt.Errorf("drop JobDB: %w", err)
	}
	if _, err := p.pools[i].ExecContext(ctx, "DROP DATABASE IF EXISTS `"+schema+"`"); err != nil {
		return fmt.Errorf("drop JobDB %s on %s: %w", schema, server, err)
	}
	return nil
}

func (p *Pool) find(server, name string) (index int, schema string, err error) {
	index = slices.IndexFunc(p.servers, func(s Server) bool { return s.Address == server })
	if index < 0 {
		return 0, "", fmt.Errorf("server %q is not of the pool", server)
	}
	if _, ok := jobdb.Number(name); !ok {
		return 0, "", fmt.Errorf("%q does not name a JobDB", name)
	}
	if schema = p.prefix + name; !schemaName.MatchString(schema) {
		return 0, "", fmt.Errorf("%q is no name of a schema", schema)
	}
	return index, schema, nil
}
