package visibility_test

import (
	"os"
	"path/filepath"
	"testing"

	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/visibility"
	"centrifuge/visibility/mysql"
	"centrifuge/visibility/sqlite"
)

func TestMain(m *testing.M) { os.Exit(mysqltest.Main(m)) }

// place is where a record lies: it returns what opens the record, again and again.
// The folder is the test's.
type place func(t testing.TB, folder string) (reopen func() visibility.Backend)

// onEach runs a test with every kind of place.
func onEach(t *testing.T, test func(t *testing.T, at place)) {
	t.Run("sqlite", func(t *testing.T) { test(t, inFolder) })
	t.Run("mysql", func(t *testing.T) {
		server := mysqltest.Start(t)
		test(t, func(t testing.TB, folder string) func() visibility.Backend {
			return onServer(server.Address, server.Schema(), "director")(t, folder)
		})
	})
}

func inFolder(t testing.TB, folder string) func() visibility.Backend {
	return func() visibility.Backend {
		t.Helper()
		b, err := sqlite.Open(filepath.Join(folder, "visibility"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// onServer is a place that many writers share.
func onServer(address, schema, writer string) place {
	return func(t testing.TB, _ string) func() visibility.Backend {
		return func() visibility.Backend {
			t.Helper()
			b, err := mysql.New(mysql.Options{
				Address: address, User: mysqltest.User, Password: mysqltest.Password, Schema: schema, Writer: writer,
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
}
