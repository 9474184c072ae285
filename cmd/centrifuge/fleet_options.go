package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"centrifuge/jobdb/mysql"
	"centrifuge/lease/consul"
)

// manageOptions are those of a Manager.
type manageOptions struct {
	spares       int
	jobdbMaxSize byteSize
	jobdbMaxAge  time.Duration
	drains       int

	jobdbKeep     time.Duration
	jobdbKeepSize byteSize
}

func (o *manageOptions) addTo(fs *pflag.FlagSet, keepSize byteSize) {
	*o = manageOptions{jobdbMaxSize: 4 << 30, jobdbKeepSize: keepSize}
	fs.IntVar(&o.spares, "spares", 1, "JobDBs kept ready on each server")
	fs.Var(&o.jobdbMaxSize, "jobdb-max-size", "size at which a JobDB is left for a spare, in `bytes`")
	fs.DurationVar(&o.jobdbMaxAge, "jobdb-max-age", 30*time.Minute, "age at which it is, if it was given jobs")
	fs.IntVar(&o.drains, "drains", 2, "JobDBs drained at once")
	fs.DurationVar(&o.jobdbKeep, "jobdb-keep", 24*time.Hour, "how long a drained JobDB is kept to tell what became of its jobs; 0 drops it at once")
	fs.Var(&o.jobdbKeepSize, "jobdb-keep-size", "how much is kept so on each server, in `bytes`, the oldest dropped first; 0 is any amount")
}

func (o *manageOptions) check() error {
	if o.spares < 1 || o.jobdbMaxSize < 1 || o.jobdbMaxAge < 1 || o.drains < 1 {
		return usagef("--spares, --jobdb-max-size, --jobdb-max-age and --drains: must be above 0")
	}
	if o.jobdbKeep < 0 {
		return usagef("--jobdb-keep: must be 0 or above")
	}
	return nil
}

// fleetName is what a fleet may be called: a part of a key, and of a name in DNS.
var fleetName = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z-]{0,40}[0-9A-Za-z])?$`)

// sharedOptions are those of the processes of a fleet: who they are, and where they
// meet.
type sharedOptions struct {
	name      string
	advertise string
	peerCA    string

	consul       string
	consulPrefix string
	leaseTTL     time.Duration

	mysql             []string
	mysqlUser         string
	mysqlPasswordFile string
	mysqlPrefix       string
	mysqlTLS          bool
}

func (o *sharedOptions) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&o.name, "name", "", "`name` in the fleet, of which there is no other (default the advertised host and port)")
	fs.StringVar(&o.advertise, "advertise", "", "`URL` under which the others of the fleet and clients reach this process (default the listener's)")
	fs.StringVar(&o.peerCA, "peer-ca-file", "", "PEM `file` with the authorities that the others' certificates are verified against (default the system's)")
	fs.StringVar(&o.consul, "consul", "", "`address` of the Consul agent, as host:port or URL (default as CONSUL_HTTP_ADDR has it)")
	fs.StringVar(&o.consulPrefix, "consul-prefix", defaultConsulPrefix, "`name` of the fleet in Consul: its keys lie under it, and its Directors are the service NAME-director")
	fs.DurationVar(&o.leaseTTL, "lease-ttl", consul.DefaultTTL, "how long the lease of a JobDB outlasts a Director that died; half of it is how long one lives on without Consul")
	fs.StringSliceVar(&o.mysql, "mysql", nil, "`address` of a MySQL server that JobDBs lie on, host:port or the path of a socket; may be repeated")
	fs.StringVar(&o.mysqlUser, "mysql-user", "centrifuge", "`name` of its user, who may create and drop schemas of the prefix")
	fs.StringVar(&o.mysqlPasswordFile, "mysql-password-file", "", "`file` with the user's password, read for each connection")
	fs.StringVar(&o.mysqlPrefix, "mysql-prefix", mysql.DefaultPrefix, "what the `names` of the schemas begin with")
	fs.BoolVar(&o.mysqlTLS, "mysql-tls", false, "encrypt connections to MySQL and verify the server's certificate")
}

func (o *sharedOptions) check() error {
	if len(o.mysql) == 0 {
		return usagef("--mysql: name the servers that JobDBs lie on")
	}
	if !fleetName.MatchString(o.consulPrefix) {
		return usagef("--consul-prefix %q: want letters, digits and -", o.consulPrefix)
	}
	if o.leaseTTL < consul.MinTTL || o.leaseTTL > consul.MaxTTL {
		return usagef("--lease-ttl %s: want %s to %s", o.leaseTTL, consul.MinTTL, consul.MaxTTL)
	}
	if o.advertise != "" {
		if _, err := hostOf(o.advertise); err != nil {
			return usagef("--advertise: %w", err)
		}
	}
	return nil
}

// settle completes what follows from where the process listens.
func (o *sharedOptions) settle(listening net.Addr, tls bool) error {
	if o.advertise == "" {
		u := url.URL{Scheme: "http", Host: listening.String()}
		if tls {
			u.Scheme = "https"
		}
		if addr, ok := listening.(*net.TCPAddr); ok && addr.IP.IsUnspecified() { // nobody can call that
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("--advertise: %w", err)
			}
			u.Host = net.JoinHostPort(host, strconv.Itoa(addr.Port))
		}
		o.advertise = u.String()
	}
	host, err := hostOf(o.advertise)
	if err != nil {
		return err
	}
	o.name = cmp.Or(o.name, host)
	return nil
}

// hostOf is the host and port of a URL.
func hostOf(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", fmt.Errorf("%q: want http://HOST:PORT or https://HOST:PORT", text)
	}
	if u.Port() != "" {
		return u.Host, nil
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443"), nil
	}
	return net.JoinHostPort(u.Hostname(), "80"), nil
}

func (o *sharedOptions) newClient(logger *slog.Logger) (*consul.Client, error) {
	return consul.New(consul.Options{
		Address: o.consul, Prefix: o.consulPrefix + "/lease/", TTL: o.leaseTTL, Owner: o.name, OwnerAddress: o.advertise, Logger: logger,
	})
}

// defaultConsulPrefix is the name of a fleet that was given none.
const defaultConsulPrefix = "centrifuge"

func (o *sharedOptions) service() string { return directorService(o.consulPrefix) }

// directorService is what the Directors of a fleet are called in Consul.
func directorService(prefix string) string { return prefix + "-director" }
