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

	"centrifuge/archive/s3/s3test"
)

// No long-lived key is needed: a token that the machine was given is exchanged for
// keys that last an hour.
func TestWebIdentity(t *testing.T) {
	server := s3test.Start(t)
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "the-token" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
			return
		}
		_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
			<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>the-session</SessionToken>
			<Expiration>2126-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			s3test.AccessKey, s3test.SecretKey)
	}))
	defer sts.Close()
	token := filepath.Join(t.TempDir(), "token")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/archive",
	} {
		t.Setenv(name, value)
	}

	write(t, token, "another")
	b := server.Open(t, "")
	err := b.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "get credentials: AssumeRoleWithWebIdentity: the credentials do not allow it (403 AccessDenied") {
		t.Errorf("with a token that is refused: %v", err)
	}
	write(t, token, "the-token")
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

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
