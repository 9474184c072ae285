// Package fleet tests fleets as they are run, and what goes wrong around them:
// Directors and Managers of the built binary in processes of their own, on a real
// MariaDB, Consul and S3 server, whose clients submit jobs all the while.
package fleet

import (
	"os"
	"testing"

	"centrifuge/internal/e2e/program"
	"centrifuge/jobdb/mysql/mysqltest"
)

func TestMain(m *testing.M) {
	os.Exit(program.Main(func() int { return mysqltest.Main(m) }))
}
