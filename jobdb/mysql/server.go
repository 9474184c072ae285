package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	mysql "github.com/go-sql-driver/mysql"
)

// Server says where a server is and who talks to it. The connection must lead to
// the one server that takes writes, and stay with it: not through a proxy that
// shares connections out.
type Server struct {
	// Address is host:port, or the path of a Unix socket.
	Address string

	// User needs all privileges on the schema, and on its name if it is to be
	// created. All owners of a JobDB must use the same user.
	User string

	// Password is the user's, unless PasswordFile is set: then it is what that
	// file holds each time a connection is made, without the end of the line.
	Password     string
	PasswordFile string

	// TLS, if not nil, is how connections are encrypted and the server is
	// recognised.
	TLS *tls.Config
}

// session is what a connection is set to. What it leaves at zero is the server's.
type session struct {
	isolation string
	multi     bool // several statements may be sent at once
	timeouts  timeouts
}

type timeouts struct {
	lock time.Duration // waiting for a lock; whole seconds
	io   time.Duration // waiting for the server
}

func defaults() timeouts { return timeouts{lock: 10 * time.Second, io: 30 * time.Second} }

// connector makes connections with the schema as their database. All strings are
// bytes to them (character set binary): nothing is converted or checked.
func (s *Server) connector(schema string, with session) (driver.Connector, error) {
	c := mysql.NewConfig()
	c.Net = "tcp"
	if strings.HasPrefix(s.Address, "/") {
		c.Net = "unix"
	}
	c.Addr, c.User, c.Passwd, c.TLS, c.DBName = s.Address, s.User, s.Password, s.TLS, schema
	c.Collation = "binary"
	c.Logger = &mysql.NopLogger{} // what it would say is in the errors
	c.MaxAllowedPacket = 0        // the server's
	c.MultiStatements = with.multi
	c.Timeout = 10 * time.Second
	c.ReadTimeout, c.WriteTimeout = with.timeouts.io, with.timeouts.io
	c.Params = map[string]string{
		"autocommit": "1",
		"sql_mode":   "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'", // a value that does not fit is an error
	}
	if seconds := int(with.timeouts.lock.Seconds()); seconds > 0 {
		c.Params["innodb_lock_wait_timeout"] = strconv.Itoa(seconds)
		c.Params["lock_wait_timeout"] = strconv.Itoa(seconds)
	}
	if s.PasswordFile != "" {
		if err := c.Apply(mysql.BeforeConnect(s.readPassword)); err != nil {
			return nil, err
		}
	}
	inner, err := mysql.NewConnector(c)
	if err != nil || with.isolation == "" {
		return inner, err
	}
	return &isolated{Connector: inner, statement: "SET SESSION TRANSACTION ISOLATION LEVEL " + with.isolation}, nil
}

func (s *Server) readPassword(_ context.Context, c *mysql.Config) error {
	password, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	c.Passwd = strings.TrimRight(string(password), "\r\n")
	return nil
}

// isolated sets the isolation level of each connection by a statement, because
// the variable has one name in MySQL and another in MariaDB.
type isolated struct {
	driver.Connector

	statement string
}

func (c *isolated) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, c.statement, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}
