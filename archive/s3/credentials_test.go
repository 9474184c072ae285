package s3_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/archive/s3"
	"centrifuge/archive/s3/s3test"
)

// No long-lived key is needed: a token that the machine was given is exchanged for
// keys that last an hour. When they end, both are had anew: the token is read from
// its file, which the machine replaces.
func TestWebIdentity(t *testing.T) {
	server := s3test.Start(t)
	var session, secret, ends string // of the keys that are given out
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "token for "+secret {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
			return
		}
		_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
			<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>
			<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			s3test.AccessKey, secret, session, ends)
	}))
	defer sts.Close()
	token := filepath.Join(t.TempDir(), "token")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/archive",
	} {
		t.Setenv(name, value)
	}

	secret, ends = s3test.SecretKey, past
	write(t, token, "another")
	b := server.Open(t, "")
	err := b.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "get credentials: AssumeRoleWithWebIdentity: the credentials do not allow it (403 AccessDenied") {
		t.Errorf("with a token that is refused: %v", err)
	}
	write(t, token, "token for "+secret)
	mustPut(t, b, "x")

	server.Rekey(t, "another secret")
	secret, ends = "another secret", future
	write(t, token, "token for "+secret)
	mustPut(t, b, "y")

	secret, session, ends = s3test.SecretKey, "the-session", past
	write(t, token, "token for "+secret)
	b = server.Open(t, "")
	server.Proxy.Requests()
	server.Proxy.Fail(func(*http.Request) s3test.Fault { return s3test.SlowDown }) // this server knows no sessions
	if err := b.Put(t.Context(), "x", nil); err == nil {
		t.Error("put: no error")
	}
	h := server.Proxy.Requests()[0].Header
	if h.Get("X-Amz-Security-Token") != "the-session" || !strings.Contains(h.Get("Authorization"), "Credential="+s3test.AccessKey+"/") {
		t.Errorf("signed with %q, session %q", h.Get("Authorization"), h.Get("X-Amz-Security-Token"))
	}
}

// When keys end, as they tell.
const (
	past   = "2001-01-01T00:00:00Z"
	future = "2126-01-01T00:00:00Z"
)

// Keys that are replaced while a Bucket is open are used: at once by the end of the
// old ones, if they tell it, and else after the store has refused these.
func TestKeysAreReplaced(t *testing.T) {
	for _, test := range []struct {
		name    string
		format  string // of the file of keys, for the access key and the secret
		command bool   // the file is what a command prints
		refused bool   // the old keys are used once more
	}{
		{"of a command, that end", `{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": %q, "Expiration": "` + past + `"}`, true, false},
		{"of a command, that end late", `{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": %q, "Expiration": "` + future + `"}`, true, true},
		{"of a command, that do not end", `{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": %q}`, true, true},
		{"of a file", "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := s3test.Start(t)
			folder := t.TempDir()
			keys, config := filepath.Join(folder, "keys"), filepath.Join(folder, "config")
			replace := func(secret string) { write(t, keys, fmt.Sprintf(test.format, s3test.AccessKey, secret)) }
			replace(s3test.SecretKey)
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			if test.command {
				write(t, config, "[default]\ncredential_process = cat "+keys+"\n")
				t.Setenv("AWS_CONFIG_FILE", config)
			} else {
				t.Setenv("AWS_SHARED_CREDENTIALS_FILE", keys)
			}
			b := server.Open(t, "")
			mustPut(t, b, "a")

			server.Rekey(t, "another secret")
			if err := b.Put(t.Context(), "b", nil); err == nil || !strings.Contains(err.Error(), "the store does not know the credentials (403 ") {
				t.Errorf("put with the old keys: %v", err)
			}
			write(t, keys, "nothing that could be read")
			if err := b.Put(t.Context(), "b", nil); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("put without keys: %v", err)
			}
			replace("another secret")
			mustPut(t, b, "b")

			server.Rekey(t, "a third secret")
			replace("a third secret")
			err := b.Put(t.Context(), "c", nil)
			if refused := err != nil; refused != test.refused {
				t.Errorf("put with keys that were replaced before: %v", err)
			}
			mustPut(t, b, "c")
		})
	}
}

func mustPut(t *testing.T, b *s3.Bucket, name string) {
	t.Helper()
	if err := b.Put(t.Context(), name, []byte(name)); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
