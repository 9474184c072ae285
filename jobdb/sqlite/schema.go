package sqlite

import _ "embed"

const (
	// applicationID marks a file as a JobDB ("Cfjd"), in its header.
	applicationID = 0x43666a64

	// schemaVersion is that of schema.sql, in the file's header as user_version.
	schemaVersion = 1
)

//go:embed schema.sql
var schema string

// tables lists what schema.sql makes.
var tables = [...]string{"jobs", "payloads", "job_state_transitions", "transactions", "queue_policies", "owners"}

// lastTransitions lets SQLite pick the row with the highest id of each job: with
// MAX the other columns come from that row (https://sqlite.org/lang_select.html#bareagg).
const lastTransitions = `SELECT job_id, MAX(id), state, attempt, time, retry_at, status_code, duration, error_code,
  CASE WHEN state = 6 THEN error END
FROM job_state_transitions WHERE job_id > ? AND job_id <= ? GROUP BY job_id ORDER BY job_id`
