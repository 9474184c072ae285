package rpc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	pb "centrifuge/gen/centrifuge/v1"
	"centrifuge/gen/centrifuge/v1/centrifugev1connect"
	"centrifuge/internal/watch"
)

// writeCertificate makes a certificate for 127.0.0.1 that vouches for itself.
func writeCertificate(t *testing.T, name, certFile, keyFile string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := x509.NewCertPool()
	roots.AddCert(writeCertificate(t, "one", certFile, keyFile))
	address := serve(t, Options{CertFile: certFile, KeyFile: keyFile})

	for version, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetHTTP2(h2)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		c := &http.Client{Transport: transport}
		resp, err := c.Do(newRequest(t, "GET", "https://"+address+"/healthz", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Proto != version {
			t.Errorf("got status %d over %s, want 200 over %s", resp.StatusCode, resp.Proto, version)
		}
		if h2 {
			jobs := centrifugev1connect.NewJobServiceClient(c, "https://"+address, connect.WithGRPC())
			if _, err := jobs.Submit(t.Context(), connect.NewRequest(&pb.SubmitRequest{})); err != nil {
				t.Errorf("gRPC over TLS: %v", err)
			}
		}
	}

	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if resp, err := (&http.Client{Transport: old}).Do(newRequest(t, "GET", "https://"+address+"/healthz", nil)); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 was accepted")
	}
	if status, _, _ := get(t, "http://"+address+"/healthz"); status != http.StatusBadRequest {
		t.Errorf("a request without TLS got status %d", status)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		writeCertificate(t, "one", certFile, keyFile)
		var logged bytes.Buffer
		config, err := openTLS(certFile, keyFile, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		name := func() string {
			time.Sleep(watch.Recheck)
			certificate, err := config.GetCertificate(&tls.ClientHelloInfo{})
			if err != nil {
				t.Fatal(err)
			}
			return certificate.Leaf.Subject.CommonName
		}
		if got := name(); got != "one" {
			t.Errorf("the certificate is %s", got)
		}
		// A new certificate comes before its key: until then the old pair serves.
		writeCertificate(t, "two", certFile, filepath.Join(dir, "new-key.pem"))
		if got := name(); got != "one" || !strings.Contains(logged.String(), "cannot be used") {
			t.Errorf("with half of a pair the certificate is %s, and the log says %q", got, &logged)
		}
		writeCertificate(t, "three", certFile, keyFile)
		if got := name(); got != "three" {
			t.Errorf("the new certificate is %s", got)
		}
	})
}
