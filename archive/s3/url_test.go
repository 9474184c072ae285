package s3_test

import (
	"strings"
	"testing"

	"centrifuge/archive/s3"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]s3.Options{
		"s3://jobs":  {Bucket: "jobs"},
		"s3://jobs/": {Bucket: "jobs"},
		"s3://jobs.example/a/b/?region=eu-west-1": {Bucket: "jobs.example", Prefix: "a/b", Region: "eu-west-1"},
		"s3://jobs?endpoint=http://127.0.0.1:9000&path-style=true": {
			Bucket: "jobs", Endpoint: "http://127.0.0.1:9000", PathStyle: true,
		},
		"s3://jobs?sse=AES256": {Bucket: "jobs", Encryption: "AES256"},
		"s3://jobs/x?sse=aws:kms&kms-key=arn:aws:kms:eu-west-1:111122223333:key/a-b": {
			Bucket: "jobs", Prefix: "x", Encryption: "aws:kms", KMSKey: "arn:aws:kms:eu-west-1:111122223333:key/a-b",
		},
	} {
		if got, err := s3.ParseURL(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                      "begins with s3://",
		"jobs":                                  "begins with s3://",
		"gs://jobs":                             "begins with s3://",
		"s3:jobs":                               "begins with s3://",
		"s3://":                                 "the bucket's name",
		"s3://ab":                               "the bucket's name",
		"s3://Jobs":                             "the bucket's name",
		"s3://jobs:9000":                        "the bucket's name",
		"s3://-jobs":                            "the bucket's name",
		"s3://key:secret@jobs":                  "credentials do not belong",
		"s3://key:sec%zzret@jobs":               "not a URL",
		"s3://jobs/a//b":                        "prefix",
		"s3://jobs/../b":                        "prefix",
		"s3://jobs/" + strings.Repeat("a", 257): "more than 256",
		"s3://jobs#x":                           "fragment",
		"s3://jobs?regoin=x":                    `unknown key "regoin"`,
		"s3://jobs?region=":                     "must have one value",
		"s3://jobs?region=a&region=b":           "must have one value",
		"s3://jobs?region=Here!":                "region",
		"s3://jobs?path-style=perhaps":          "want true or false",
		"s3://jobs?sse=rot13":                   "want AES256 or aws:kms",
		"s3://jobs?sse=AES256&kms-key=x":        "goes with sse=aws:kms",
		"s3://jobs?endpoint=minio:9000":         "endpoint: not a URL",
		"s3://jobs?endpoint=http://k:secret@minio:9000": "endpoint: credentials",
		"s3://jobs?endpoint=http://minio%3Fx%3D1":       "must end with the host or a path",
		"s3://jobs?a;b": "key=value",
	} {
		o, err := s3.ParseURL(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want an error with %q", text, o, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the secret: %v", text, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"s3://jobs", "s3://jobs/a/b?region=eu-west-1&sse=aws:kms&kms-key=alias/x",
		"s3://jobs?endpoint=http://127.0.0.1:9000&path-style=true", "s3://k:s@jobs", "s3://[::1]", "s3://%6aobs", "s3:///x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := s3.ParseURL(text)
		if err != nil {
			if o != (s3.Options{}) && strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if !strings.HasPrefix(strings.ToLower(text), "s3://") || o.Bucket == "" || strings.ContainsAny(o.Bucket+o.Prefix, "@:?# \\") ||
			strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/") || strings.Contains(o.Endpoint, "@") {
			t.Errorf("%q was read as %+v", text, o)
		}
		if _, err := s3.Open(t.Context(), o); err != nil && o.Region != "" {
			t.Errorf("%q was read but cannot be opened: %v", text, err)
		}
	})
}
