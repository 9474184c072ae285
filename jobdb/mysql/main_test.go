package mysql

import (
	"os"
	"testing"

	"centrifuge/jobdb/mysql/mysqltest"
)

func TestMain(m *testing.M) { os.Exit(mysqltest.Main(m)) }
