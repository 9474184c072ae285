package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokensAndTLS(t *testing.T) {
	cert, key := certificate(t)
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("# callers\nshop:0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, t.TempDir(), "--token-file", tokens, "--tls-cert", cert, "--tls-key", key)
	server := "--server=https://" + s.address
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(cert); err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("trust %s: %v", cert, err)
	}
	browser := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	awaitReady(t, &browser, "https://"+s.address)
	must(t, "", "ledger", server, "--ca-file", cert, "--token-file", tokens)
	t.Setenv(tokenEnv, "0123456789abcdef0123")
	must(t, "", "ledger", server, "--ca-file", cert)
	t.Setenv(tokenEnv, "")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--ca-file", cert}, "give a token with --token-file or CENTRIFUGE_TOKEN"},
		{[]string{"--token-file", tokens}, "name the authority with --ca-file"},
		{[]string{"--ca-file", tokens}, "no PEM certificate"},
		{[]string{"--ca-file", cert, "--token-file", os.DevNull}, "no token in it"},
	} {
		r := call(t, "", append([]string{"ledger", server}, tc.args...)...)
		if r.code() != exitFailure || !strings.Contains(fmt.Sprint(r.err), tc.want) {
			t.Errorf("%v: exit code %d, error %v, want %q", tc.args, r.code(), r.err, tc.want)
		}
	}
}

func TestExposureNeedsTokens(t *testing.T) {
	r := call(t, "", "serve", "--listen", "0.0.0.0:0", "--data-dir", t.TempDir())
	if r.err == nil || !strings.Contains(r.err.Error(), "--token-file") {
		t.Errorf("got %v", r.err)
	}
}

// certificate makes one for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}
