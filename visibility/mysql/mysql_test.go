package mysql_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"centrifuge/jobdb/mysql/mysqltest"
	"centrifuge/visibility"
	"centrifuge/visibility/mysql"
	"centrifuge/visibility/visibilitytest"
)

func TestMain(m *testing.M) { os.Exit(mysqltest.Main(m)) }

func options(s *mysqltest.Server, writer string) mysql.Options {
	return mysql.Options{Address: s.Address, User: mysqltest.User, Password: mysqltest.Password, Schema: s.Schema(), Writer: writer}
}

func open(t *testing.T, o mysql.Options) *mysql.Backend {
	t.Helper()
	b, err := mysql.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestContract(t *testing.T) {
	o := options(mysqltest.Start(t), "w'r\xffiter")
	visibilitytest.Backend(t, func() visibility.Backend { return open(t, o) })
}

// Writers do not see each other's entries, and what one sets aside or replaces is its
// own; editions say what changed.
func TestWritersAreApart(t *testing.T) {
	o := options(mysqltest.Start(t), "a")
	a := open(t, o)
	o.Writer = "b"
	b := open(t, o)
	put := func(w *mysql.Backend, text string) {
		t.Helper()
		if err := w.Write(t.Context(), 20000, &visibility.Write{Put: []visibility.Entry{{Key: 1, Data: []byte(text)}}}); err != nil {
			t.Fatal(err)
		}
	}
	seen := func() (e visibility.Edition, text string) {
		t.Helper()
		err := a.ReadOthers(t.Context(), func(others []visibility.OtherWriter) error {
			if len(others) == 0 {
				return nil
			}
			o := others[0]
			if len(others) != 1 || len(o.Editions) != 1 {
				t.Errorf("others %+v", others)
			}
			e = o.Editions[0]
			return o.Scan(t.Context(), 20000, 0, 9, func(_ uint64, data []byte) error { text += string(data); return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		return e, text
	}
	put(a, "of a")
	if e, text := seen(); e.Version != 0 || text != "" {
		t.Errorf("a sees its own as another's: %+v %q", e, text)
	}
	put(b, "of b")
	first, text := seen()
	put(b, "new")
	second, newer := seen()
	if text != "of b" || newer != "new" || first.Day != 20000 || second.Born != first.Born || second.Version <= first.Version {
		t.Errorf("%+v %q, then %+v %q", first, text, second, newer)
	}
	if err := b.SetAside(t.Context(), 20000); err != nil {
		t.Fatal(err)
	}
	put(b, "anew")
	if third, text := seen(); text != "anew" || third.Born <= second.Version {
		t.Errorf("%+v %q after %+v", third, text, second)
	}
	if err := a.Scan(t.Context(), 20000, 0, 9, func(_ uint64, data []byte) error {
		if string(data) != "of a" {
			t.Errorf("a's is %q", data)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// One drops the day of all, which the other notices, whether it is begun anew or not.
	for _, anew := range []bool{false, true} {
		if err := a.Drop(t.Context(), 20000); err != nil {
			t.Fatal(err)
		}
		if anew {
			put(a, "anew")
		}
		err := b.Write(t.Context(), 20000, &visibility.Write{Put: []visibility.Entry{{Key: 2}}})
		if days, failed := b.Days(t.Context()); !errors.Is(err, visibility.ErrCorrupt) || len(days) > 0 || failed != nil {
			t.Errorf("%v, days %v, %v", err, days, failed)
		}
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]mysql.Options{
		"mysql://h":                           {Address: "h:3306", User: "centrifuge", Schema: "centrifuge_history"},
		"mysql://u:p%40@h:1/s?tls=true":       {Address: "h:1", User: "u", Password: "p@", Schema: "s", TLS: true},
		"mysql://[::1]:2/a-b?password-file=/": {Address: "[::1]:2", User: "centrifuge", Schema: "a-b", PasswordFile: "/"},
	} {
		if got, err := mysql.ParseURL(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "h:1", "mysql:", "mysql://", "http://u:sesame@h", "mysql://u:sesame@h/a`b", "mysql://u:sesame@h/a/b", "mysql://u:sesame@h:x",
		"mysql://u:sesame@h/s?tls=maybe", "mysql://u:sesame@h/s?speed=1", "mysql://u:sesame@h/s?%zz", "mysql://h/" + strings.Repeat("a", 65),
	} {
		if o, err := mysql.ParseURL(text); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
}

// What is wrong is said, and not the password; it is tried again by the next call.
func TestWhatIsWrong(t *testing.T) {
	server := mysqltest.Start(t)
	good := options(server, "w")
	for want, change := range map[string]func(*mysql.Options){
		"127.0.0.1:1":   func(o *mysql.Options) { o.Address = "127.0.0.1:1" },
		"Access denied": func(o *mysql.Options) { o.Password = "sesame" },
		"/no/such":      func(o *mysql.Options) { o.PasswordFile = "/no/such" },
		"denied":        func(o *mysql.Options) { o.Schema = "other" },
	} {
		o := good
		change(&o)
		_, err := open(t, o).Days(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), o.Password) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, name := range []string{"", strings.Repeat("w", 256)} {
		o := good
		o.Writer = name
		if _, err := mysql.New(o); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	o := good
	o.Password, o.PasswordFile = "", filepath.Join(t.TempDir(), "password")
	b := open(t, o)
	if _, err := b.Days(t.Context()); err == nil {
		t.Error("there was no password")
	}
	if err := os.WriteFile(o.PasswordFile, []byte(mysqltest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if days, err := b.Days(t.Context()); err != nil || !slices.Equal(days, nil) {
		t.Errorf("days %v, %v", days, err)
	}
}
