package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"centrifuge/archive/s3/s3test"
	pb "centrifuge/gen/centrifuge/v1"
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

// A replay over a damaged object replays the others, names it and fails in the end;
// the listing names what it met, and goes on.
func TestDamagedArchive(t *testing.T) {
	dir := t.TempDir()
	s := startServe(t, t.TempDir(), "--archive", dir)
	server := "--server=http://" + s.address
	for range 2 {
		id := strings.TrimSpace(must(t, "", "submit", server, "--endpoint", "http://127.0.0.1:1/", "--ttl", "1s", "--source", "shop", "--payload", "x"))
		awaitState(t, "http://"+s.address, id, "JOB_STATE_ARCHIVED")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*/*/*/*/*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v, want two objects and their indexes", files, err)
	}
	for _, file := range files[:2] { // of the first object
		if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := strings.TrimSuffix(filepath.Base(files[0]), ".idx.ndjson.zst") + ".ndjson.zst"
	r := call(t, "", "archive", "ls", server)
	if r.err != nil || strings.Count(r.stdout, "shop") != 1 || !strings.Contains(r.stderr, name+": ") {
		t.Errorf("ls: %v\n%s\n%s", r.err, r.stdout, r.stderr)
	}
	r = call(t, "", "archive", "replay", server, "--source", "shop")
	if r.code() != exitFailure || !strings.Contains(r.stdout, "1 jobs replayed") || !strings.Contains(r.stderr, name+": ") {
		t.Errorf("replay: exit code %d, %v\n%s\n%s", r.code(), r.err, r.stdout, r.stderr)
	}
	r = call(t, "", "archive", "replay", server, "--source", "shop", "--json")
	var sum pb.ReplayResponse
	mustJSON(t, r.stdout, &sum)
	if r.code() != exitFailure || sum.GetReplayed() != 0 || sum.GetSkipped() != 1 || len(sum.GetDamaged()) != 2 {
		t.Errorf("replay again: exit code %d, %v", r.code(), &sum)
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
