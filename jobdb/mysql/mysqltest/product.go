package mysqltest

import (
	"os"
	"os/exec"
	"path/filepath"
)

// variable names a program of MySQL, for the tests to run on that and not on MariaDB.
const variable = "MYSQLD"

// product is what is different about the servers of MySQL and of MariaDB.
type product struct {
	server string   // the program
	flags  []string // that only this one knows

	// install makes a data folder for the user of the system, with an
	// administrator who needs no password.
	install func(user, folder string) ([]byte, error)
}

// chosen is the product to test with.
func chosen() product {
	if path := os.Getenv(variable); path != "" {
		return mysqlServer(path)
	}
	return mariaDB()
}

func mariaDB() product {
	return product{
		server: program("mariadbd"),
		flags:  []string{"--innodb-log-file-size=" + logSize},
		install: func(user, folder string) ([]byte, error) {
			install := exec.Command(program("mariadb-install-db"), "--no-defaults", "--user="+user, //nolint:noctx // nothing to cancel it for
				"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size="+logSize, "--datadir="+folder)
			// A server that starts removes the temporary tables that it finds, whosever they are.
			install.Env = append(os.Environ(), "TMPDIR="+filepath.Dir(folder))
			return install.CombinedOutput()
		},
	}
}

// mysqlServer keeps MySQL's defaults: a binary log, and passwords that are
// exchanged by caching_sha2_password.
func mysqlServer(path string) product {
	flags := []string{"--innodb-redo-log-capacity=" + logSize, "--mysqlx=off", "--secure-file-priv=NULL"}
	return product{
		server: path,
		flags:  flags,
		install: func(user, folder string) ([]byte, error) {
			// The administrator that MySQL makes is one of connections by socket.
			const statements = `CREATE USER root@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;`
			init := folder + ".sql"
			if err := os.WriteFile(init, []byte(statements), 0o600); err != nil {
				return nil, err
			}
			return exec.Command(path, append([]string{ //nolint:noctx // nothing to cancel it for
				"--no-defaults", "--user=" + user, "--initialize-insecure", "--init-file=" + init, "--datadir=" + folder,
			}, flags...)...).CombinedOutput()
		},
	}
}
