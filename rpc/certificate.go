package rpc

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"centrifuge/internal/watch"
)

// openTLS makes the TLS configuration of a listener from a certificate chain
// and its key, both PEM. They are read again within a second of their change,
// for connections that begin after it.
func openTLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	parse := func(contents [][]byte) (*tls.Certificate, error) {
		certificate, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
		}
		return &certificate, nil
	}
	files, err := watch.Files(logger, parse, certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return files.Get(), nil },
	}, nil
}
