package main

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"centrifuge/cmd/centrifuge/config"
	"centrifuge/visibility/mysql"
)

// serveOptions are all that can be configured of serve, as parsed.
type serveOptions struct {
	listen  string
	dataDir string
	archive string

	access          accessOptions
	tokenFile       string
	tlsCert, tlsKey string
	openMetrics     bool
	pprof           bool
	maxConnections  int

	allowNetworks []netip.Prefix
	caFile        string
	proxy         string

	maxInFlight       int
	maxPerDestination int
	maxPerQueue       int
	maxPending        int64
	commitInterval    time.Duration
	cacheSize         byteSize
	minFreeDisk       byteSize
	memoryLimit       byteSize
	shutdownGrace     time.Duration

	history    string
	retention  time.Duration
	alertRules string

	logLevel     slog.Level
	logFormat    string
	otlpEndpoint string

	manageOptions
}

// addTo declares the flags of serve, with their defaults. Every one of them is also
// an environment variable and a key of the configuration file.
func (o *serveOptions) addTo(fs *pflag.FlagSet) {
	o.addDirectorTo(fs)
	o.manageOptions.addTo(fs, 8<<30)
}

// addDirectorTo declares the flags of a Director.
func (o *serveOptions) addDirectorTo(fs *pflag.FlagSet) {
	o.addProcessTo(fs)
	o.cacheSize, o.minFreeDisk = 64<<20, 256<<20
	fs.StringVar(&o.dataDir, "data-dir", "./data", "`folder` of the JobDB and the archive")
	o.access.addTo(fs)
	fs.Var((*networks)(&o.allowNetworks), "allow-network", "`CIDR` of a private network that may be delivered to; may be repeated")
	fs.StringVar(&o.caFile, "ca-file", "", "PEM `file` with the authorities that endpoints' certificates are verified against (default the system's)")
	fs.StringVar(&o.proxy, "proxy", "", "`URL` of an http, https or socks5 proxy for deliveries")
	fs.IntVar(&o.maxInFlight, "max-in-flight", 1024, "deliveries under way at once")
	fs.IntVar(&o.maxPerDestination, "max-per-destination", 128, "of these, to one destination")
	fs.IntVar(&o.maxPerQueue, "max-per-queue", 128, "of these, of one queue")
	fs.Int64Var(&o.maxPending, "max-pending", 20_000_000, "unfinished jobs, above which submits are refused")
	fs.DurationVar(&o.commitInterval, "commit-interval", 2*time.Millisecond, "least time between commits")
	fs.Var(&o.cacheSize, "cache-size", "payloads of waiting jobs kept in memory, in `bytes`")
	fs.Var(&o.minFreeDisk, "min-free-disk", "free disk below which submits are refused, in `bytes`: 32MiB or more, or 0 for none")
	fs.DurationVar(&o.shutdownGrace, "shutdown-grace", 15*time.Second, "how long deliveries under way may take to end at shutdown")
	fs.StringVar(&o.history, "history", "", "`place` of what is recorded of deliveries: mysql://user@host/schema?password-file=…, which Directors share, or none to record nothing (default history in the data folder)")
	fs.DurationVar(&o.retention, "history-retention", 30*24*time.Hour, "how long what is recorded of deliveries is kept, by the day")
	fs.StringVar(&o.alertRules, "alert-rules", "", "YAML `file` of when to raise alerts and whom to tell (default built-in rules, nobody)")
}

// addManagerTo declares the flags of a Manager. What else there is has its default.
func (o *serveOptions) addManagerTo(fs *pflag.FlagSet) {
	o.addDirectorTo(pflag.NewFlagSet("defaults", pflag.ContinueOnError))
	o.addProcessTo(fs)
	fs.StringVar(&o.dataDir, "data-dir", "", "`folder` of the audit log of what is done to the fleet (default none is kept)")
	o.access.addProviderTo(fs)
	o.manageOptions.addTo(fs, 64<<30)
}

// addProcessTo declares the flags that every role has.
func (o *serveOptions) addProcessTo(fs *pflag.FlagSet) {
	fs.String(config.FileFlag, "", "YAML `file` with the names of these flags as keys")
	fs.StringVar(&o.listen, "listen", "127.0.0.1:7800", "`address` of RPC, health and metrics; port 0 takes a free one")
	fs.StringVar(&o.archive, "archive", "", "`place` of the archive: a folder, or s3://bucket/prefix?region=… (default archive in the data folder)")
	fs.StringVar(&o.tokenFile, "token-file", "", "`file` of bearer tokens, NAME:TOKEN or NAME:ROLE:SOURCES:TOKEN a line; this or an identity provider is needed to listen beyond loopback")
	fs.StringVar(&o.tlsCert, "tls-cert", "", "PEM `file` of the listener's certificate; turns TLS on")
	fs.StringVar(&o.tlsKey, "tls-key", "", "PEM `file` of the certificate's key")
	fs.BoolVar(&o.openMetrics, "open-metrics", false, "serve /metrics without a token")
	fs.BoolVar(&o.pprof, "pprof", false, "serve /debug/pprof/")
	fs.IntVar(&o.maxConnections, "max-connections", 4096, "connections to the listener at once")
	fs.Var(&o.memoryLimit, "memory-limit", "soft limit of memory for the garbage collector, in `bytes`; 0 is none")
	fs.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "the least `LEVEL` that is logged: debug, info, warn or error")
	fs.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of the log: text or json")
	fs.StringVar(&o.otlpEndpoint, "otlp-endpoint", "", "`URL` to send OpenTelemetry traces to over OTLP/HTTP (default none are made)")
}

// leastFreeDisk is what deliveries can use while submits are refused: a JobDB's log
// grows by 16 MiB before a checkpoint brings it into the file, which takes as much.
// With less, the log fills the disk and no delivery can be logged.
const leastFreeDisk = 32 << 20 // bytes

// check refuses values that no flag's type can refuse.
func (o *serveOptions) check() error {
	for _, n := range []struct {
		flag  string
		value int64
	}{
		{"max-in-flight", int64(o.maxInFlight)},
		{"max-per-destination", int64(o.maxPerDestination)},
		{"max-per-queue", int64(o.maxPerQueue)},
		{"max-pending", o.maxPending},
		{"max-connections", int64(o.maxConnections)},
		{"cache-size", int64(o.cacheSize)},
		{"commit-interval", int64(o.commitInterval)},
		{"shutdown-grace", int64(o.shutdownGrace)},
		{"history-retention", int64(o.retention)},
	} {
		if n.value < 1 {
			return usagef("--%s: must be above 0", n.flag)
		}
	}
	if o.minFreeDisk > 0 && o.minFreeDisk < leastFreeDisk {
		return usagef("--min-free-disk: must be 32MiB or more, or 0 for none: a JobDB's log and what is copied of it need as much")
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	if err := o.access.check(); err != nil {
		return err
	}
	if err := checkArchive(o.archive); err != nil {
		return err
	}
	if o.history != "" && o.history != noHistory {
		if _, err := mysql.ParseURL(o.history); err != nil {
			return usagef("--history: %w", err)
		}
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		return usagef("--log-format %s: want text or json", o.logFormat)
	}
	return nil
}
