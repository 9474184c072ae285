package mysql

import (
	"cmp"
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	mysql "github.com/go-sql-driver/mysql"
)

// Options say where the record is and who writes it.
type Options struct {
	// Address is host:port of the server; it must lead to the one that takes writes.
	Address string

	// User needs all privileges on the schema, and on its name if it is to be made.
	User string

	// Password is the user's, unless PasswordFile is set: then it is what that file
	// holds each time a connection is made, without the end of the line.
	Password     string
	PasswordFile string

	// TLS says that connections are encrypted and the server's certificate verified.
	TLS bool

	// Schema is the name of the schema, of letters, digits, _ and -.
	Schema string

	// Writer is the name of this process among those that record there, 1 to 255
	// bytes. The next process under a name goes on with what the last one recorded.
	Writer string
}

// DefaultSchema is the schema of a URL without a path.
const DefaultSchema = "centrifuge_history"

const ioTimeout = 30 * time.Second // waiting for the server

var schemaName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// ParseURL reads mysql://USER@HOST:PORT/SCHEMA?password-file=PATH&tls=true, of which
// only the host is needed. Its errors do not tell a password.
func ParseURL(text string) (o Options, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return o, errors.New("not a URL") // the error has all of it
	}
	if u.Scheme != "mysql" || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" {
		return o, errors.New("want mysql://USER@HOST:PORT/SCHEMA?password-file=PATH&tls=true")
	}
	o.Address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "3306"))
	o.User = cmp.Or(u.User.Username(), "centrifuge")
	o.Password, _ = u.User.Password()
	if o.Schema = cmp.Or(strings.Trim(u.Path, "/"), DefaultSchema); !schemaName.MatchString(o.Schema) {
		return o, fmt.Errorf("schema %q: want 1 to 64 letters, digits, _ or -", o.Schema)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, errors.New("not a URL")
	}
	for name, values := range query {
		switch value := values[len(values)-1]; name {
		case "password-file":
			o.PasswordFile = value
		case "tls":
			if o.TLS, err = strconv.ParseBool(value); err != nil {
				return o, fmt.Errorf("tls=%s: want true or false", value)
			}
		default:
			return o, fmt.Errorf("%s: there is no such setting; there are password-file and tls", name)
		}
	}
	return o, nil
}

// connector makes connections with the schema as their database. All strings are
// bytes to them: nothing is converted or checked.
func (o *Options) connector(schema string) (driver.Connector, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", o.Address, o.User, o.Password, schema
	if o.TLS {
		host, _, err := net.SplitHostPort(o.Address)
		if err != nil {
			return nil, err
		}
		c.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	c.Collation = "binary"
	c.Logger = &mysql.NopLogger{} // what it would say is in the errors
	c.MaxAllowedPacket = 0        // the server's
	c.InterpolateParams = true    // one round trip for a statement, not two
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 10*time.Second, ioTimeout, ioTimeout
	c.Params = map[string]string{
		"autocommit":               "1",
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		"innodb_lock_wait_timeout": "10",
		"lock_wait_timeout":        "10",
	}
	if o.PasswordFile != "" {
		if err := c.Apply(mysql.BeforeConnect(o.readPassword)); err != nil {
			return nil, err
		}
	}
	return mysql.NewConnector(c)
}

func (o *Options) readPassword(_ context.Context, c *mysql.Config) error {
	password, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	c.Passwd = strings.TrimRight(string(password), "\r\n")
	return nil
}
