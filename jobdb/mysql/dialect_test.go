package mysql

import (
	"errors"
	"testing"

	mysql "github.com/go-sql-driver/mysql"

	"centrifuge/jobdb"
)

// The forms in which servers tell of a full disk and of other troubles with files.
func TestExplainFullDisk(t *testing.T) {
	for _, test := range []struct {
		number  uint16
		message string
		full    bool
	}{
		{1030, `Got error 28 "No space left on device" from storage engine InnoDB`, true},
		{1030, `Got error 28 - 'No space left on device' from storage engine`, true},
		{1030, `Got error 168 - 'Unknown (generic) error from engine' from storage engine`, false},
		{3, `Error writing file '/data/MLfd=28' (OS errno 28 - No space left on device)`, true},
		{3, `Error writing file '/data/MLfd=28' (OS errno 5 - Input/output error)`, false},
		{3, `Error writing file './ML28' (Errcode: 28 "No space left on device")`, true},
		{1026, `Error writing file 'binlog' (errno: 28 - No space left on device)`, true},
		{1026, `Error writing file 'binlog' (errno: 128 - 28)`, false},
		{1021, `Disk full (/data/#sql28)`, true},
		{1114, `The table 'jobs' is full`, true},
	} {
		answer := &mysql.MySQLError{Number: test.number, Message: test.message}
		if got := errors.Is(explain(answer, false), jobdb.ErrFull); got != test.full {
			t.Errorf("%v: full is %t", answer, got)
		}
		if !errors.Is(explain(answer, true), jobdb.ErrUnknownOutcome) {
			t.Errorf("%v: a commit's outcome is known", answer)
		}
	}
}
