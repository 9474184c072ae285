package fleet

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"centrifuge/archive/s3/s3test"
)

// refusal is what is logged when nothing can be archived.
const refusal = "the archive refused an object; its jobs stay archiving"

// S3 is down, wants less, and refuses the credentials, which are replaced in their
// file. What is to be archived waits for as long, and is seen to; everything else
// goes on.
func TestArchive(t *testing.T) {
	t.Parallel()
	store := s3test.Serve(t)
	keys := filepath.Join(t.TempDir(), "keys")
	writeKeys := func(secret string) {
		profile := "[default]\naws_access_key_id = " + s3test.AccessKey + "\naws_secret_access_key = " + secret + "\n"
		if err := os.WriteFile(keys, []byte(profile), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeKeys(s3test.SecretKey)
	place := url.Values{"endpoint": {store.Proxy.URL()}, "path-style": {"true"}, "region": {"us-east-1"}}
	f := newFleet(t, ground{archive: "s3://" + s3test.BucketName + "/jobs?" + place.Encode()})
	f.environment = s3test.Environment()
	f.environment["AWS_SHARED_CREDENTIALS_FILE"] = keys
	f.environment["AWS_ACCESS_KEY_ID"], f.environment["AWS_SECRET_ACCESS_KEY"] = "", ""
	f.manager("manager")
	a, b := f.director("a"), f.director("b")

	for _, fault := range []struct {
		name       string
		begin, end func()
	}{
		{"down", store.Down, func() { store.Up(t) }},
		{
			"slow down",
			func() { store.Proxy.Fail(func(*http.Request) s3test.Fault { return s3test.SlowDown }) },
			func() { store.Proxy.Fail(nil) },
		},
		{
			"keys replaced",
			func() { store.Rekey(t, "another secret") },
			func() { writeKeys("another secret") },
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			f.T = t
			l := f.startLoad()
			l.flow()
			before := refusals(a, b)
			fault.begin()
			f.awaitArchiving(before)
			l.flow()
			fault.end()
			l.settle(0)
		})
	}

	// Who has the wrong credentials is replaced by who has the right ones.
	f.T = t
	f.environment["AWS_ACCESS_KEY_ID"], f.environment["AWS_SECRET_ACCESS_KEY"] = s3test.AccessKey, "wrong"
	wrong := f.director("wrong")
	f.environment["AWS_SECRET_ACCESS_KEY"] = "another secret"
	a.stop()
	b.stop()
	l := f.startLoad()
	l.flow()
	f.awaitArchiving(map[*member]refused{wrong: {counted: "0"}})
	f.director("right")
	wrong.stop()
	l.flow()
	f.awaitTidy()
	l.settle(0)
}

// refused is how often a Director has said that it cannot archive.
type refused struct {
	logged  int
	counted string
}

func refusals(members ...*member) map[*member]refused {
	all := make(map[*member]refused)
	for _, m := range members {
		all[m] = refused{m.Log.Said(refusal), m.metric("centrifuge_archive_failures_total")}
	}
	return all
}

// awaitArchiving waits until jobs wait to be archived, and the Directors have said
// so since then.
func (f *fleet) awaitArchiving(before map[*member]refused) {
	f.Helper()
	f.await("unable to archive", func() (bool, string) {
		ledger, ok, said := f.ledger()
		for m, then := range before {
			now := refusals(m)[m]
			ok = ok && now.logged > then.logged && now.counted != then.counted
		}
		return ok && ledger.GetArchiving() >= backlog/refusedOf, said
	})
}
