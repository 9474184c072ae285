package rpc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const servicePath = "/centrifuge.v1.JobService/"

type transactions struct {
	Transactions []struct {
		ID, State, Deadline string
		JobIds              []string
	}
	Jobdb string
	Load  *uint32
}

// The whole of it in JSON, against a real Director.
func TestTwoPhases(t *testing.T) {
	address := direct(t)
	call := func(procedure, request string, want int, answer any) string {
		t.Helper()
		status, _, content := post(t, address, servicePath+procedure, request)
		if status != want {
			t.Errorf("%s %s: status %d: %s", procedure, request, status, content)
		}
		if answer != nil {
			if err := json.Unmarshal([]byte(content), answer); err != nil {
				t.Fatal(err)
			}
		}
		return content
	}
	var prepared struct {
		TransactionID, State, Deadline, Jobdb string
		JobIds                                []string
	}
	submit := `{"transactionId": %q, "prepare": true, "prepareTtl": "600s", "jobs": [{"source": "s", "endpoint": "http://127.0.0.1:1/"}]}`
	for _, id := range []string{"a", "b"} {
		call("Submit", fmt.Sprintf(submit, id), http.StatusOK, &prepared)
		if prepared.State != "TRANSACTION_STATE_PREPARED" || prepared.Deadline == "" || prepared.Jobdb != "jobdb-000001" || len(prepared.JobIds) != 1 {
			t.Fatalf("prepared %+v", prepared)
		}
	}
	call("Get", fmt.Sprintf(`{"id": %q}`, prepared.JobIds[0]), http.StatusNotFound, nil)

	var known transactions
	call("Transactions", `{}`, http.StatusOK, &known)
	if known.Jobdb != "jobdb-000001" || known.Load == nil || len(known.Transactions) != 0 {
		t.Errorf("nothing was asked for: %+v", known)
	}
	var ended transactions
	call("Commit", `{"transactionIds": ["b", "b"]}`, http.StatusOK, &ended)
	call("Abort", `{"transactionIds": ["a"]}`, http.StatusOK, nil)
	if len(ended.Transactions) != 2 || ended.Transactions[1].State != "TRANSACTION_STATE_COMMITTED" || ended.Transactions[1].JobIds[0] != prepared.JobIds[0] {
		t.Errorf("committed %+v", ended)
	}
	call("Get", fmt.Sprintf(`{"id": %q}`, prepared.JobIds[0]), http.StatusOK, nil)
	call("Transactions", `{"ids": ["nobody's", "b", "a"]}`, http.StatusOK, &known)
	for i, want := range []string{"UNKNOWN", "COMMITTED", "ABORTED"} {
		if got := known.Transactions[i].State; got != "TRANSACTION_STATE_"+want {
			t.Errorf("transaction %d is %s, want %s", i, got, want)
		}
	}

	many := strings.TrimSuffix(strings.Repeat(`"x",`, 101), ",")
	for _, test := range []struct {
		procedure, request string
		status             int
		want               string
	}{
		{"Commit", `{"transactionIds": ["b", "a"]}`, http.StatusBadRequest, `transaction \"a\" was aborted`},
		{"Abort", `{"transactionIds": ["b"]}`, http.StatusBadRequest, `transaction \"b\" was committed`},
		{"Commit", `{"transactionIds": ["nobody's"]}`, http.StatusNotFound, "is unknown"},
		{"Commit", `{}`, http.StatusBadRequest, "transaction_ids: is empty"},
		{"Commit", `{"transactionIds": [` + many + `]}`, http.StatusBadRequest, "at most 100"},
		{"Abort", `{"transactionIds": [""]}`, http.StatusBadRequest, "transaction_ids[0]"},
		{"Transactions", `{"ids": [` + many + `]}`, http.StatusBadRequest, "at most 100"},
		{"Transactions", `{"ids": ["` + strings.Repeat("x", 129) + `"]}`, http.StatusBadRequest, "129 bytes"},
		{"Submit", `{"prepareTtl": "1s", "jobs": [{"source": "s", "endpoint": "http://127.0.0.1:1/"}]}`, http.StatusBadRequest, "prepare_ttl: is given without prepare"},
		{"Submit", `{"prepare": true, "prepareTtl": "901s", "jobs": [{"source": "s", "endpoint": "http://127.0.0.1:1/"}]}`, http.StatusBadRequest, "prepare_ttl: is 15m1s"},
		{"Submit", `{"jobdb": "jobdb-000002", "jobs": [{"source": "s", "endpoint": "http://127.0.0.1:1/"}]}`, http.StatusBadRequest, "FOREIGN_JOBDB"},
		{"Submit", fmt.Sprintf(submit, "a"), http.StatusBadRequest, "was aborted"},
	} {
		if content := call(test.procedure, test.request, test.status, nil); !strings.Contains(content, test.want) {
			t.Errorf("%s %s: %s, want %q", test.procedure, test.request, content, test.want)
		}
	}
}
