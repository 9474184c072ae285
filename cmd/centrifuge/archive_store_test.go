package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/archive/s3/s3test"
)

// What expires is found in S3, while it is also listed and traced as ever.
func TestArchiveOnS3(t *testing.T) {
	server := s3test.Start(t)
	place := "s3://" + s3test.BucketName + "/jobs?path-style=true&sse=AES256&endpoint=" + server.Proxy.URL()
	s := startServe(t, t.TempDir(), "--archive", place)
	id := strings.TrimSpace(must(t, "", "submit", "--server", "http://"+s.address, "--endpoint", "http://127.0.0.1:1/", "--ttl", "1s", "--source", "shop", "--payload", "x"))
	awaitState(t, "http://"+s.address, id, "JOB_STATE_ARCHIVED")
	if out := must(t, "", "archive", "ls", "--server", "http://"+s.address); !strings.Contains(out, id) {
		t.Errorf("the listing lacks the job: %s", out)
	}
	n := 0
	for name, err := range server.Open(t, "jobs").List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; !strings.Contains(name, id) {
			t.Errorf("an object of another job: %s", name)
		}
	}
	if n != 2 {
		t.Errorf("%d objects, want the jobs and their index", n)
	}
}

// A store that is down keeps nobody from serving.
func TestArchiveDownAtStart(t *testing.T) {
	server := s3test.Start(t)
	server.Down()
	place := "s3://" + s3test.BucketName + "?path-style=true&endpoint=" + server.Proxy.URL()
	s := startServe(t, t.TempDir(), "--archive", place)
	eventually(t, "serving", func() (bool, string) {
		r := call(t, "", "ledger", "--server", "http://"+s.address)
		return r.err == nil, fmt.Sprint(r.err)
	})
}

func TestArchiveInAnotherFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "elsewhere")
	s := startServe(t, t.TempDir(), "--archive", dir)
	id := strings.TrimSpace(must(t, "", "submit", "--server", "http://"+s.address, "--endpoint", "http://127.0.0.1:1/", "--ttl", "1s", "--source", "shop", "--payload", "x"))
	awaitState(t, "http://"+s.address, id, "JOB_STATE_ARCHIVED")
	files, err := filepath.Glob(filepath.Join(dir, "*/*/*/*/*"))
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v, want the jobs and their index", files, err)
	}
}

func TestArchivePlaceMistakes(t *testing.T) {
	for place, want := range map[string]string{
		"gs://bucket":          "begins with s3://",
		"s3://bucket?regoin=x": `unknown key "regoin"`,
		"s3://key:secret@jobs": "credentials do not belong",
	} {
		r := call(t, "", "serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--archive", place)
		if said := fmt.Sprint(r.err); r.code() != exitUsage || !strings.Contains(said, "--archive: ") ||
			!strings.Contains(said, want) || strings.Contains(said, "secret") {
			t.Errorf("%s: exit code %d, error %v", place, r.code(), r.err)
		}
	}
}
