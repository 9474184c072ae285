-- A JobDB. Rows are inserted, never updated or deleted; no query joins jobs.
-- Times are milliseconds since 1970, durations nanoseconds.

CREATE TABLE jobs (
  id          BLOB    NOT NULL PRIMARY KEY, -- KSUID, 20 bytes
  source      TEXT    NOT NULL,
  destination TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  expire_at   INTEGER NOT NULL,
  endpoint    TEXT    NOT NULL,
  method      TEXT    NOT NULL,
  headers     BLOB,
  settings    BLOB,
  replay_of   BLOB,                         -- a job's id
  payload_id  INTEGER NOT NULL              -- in payloads; 0: the payload is empty
) STRICT, WITHOUT ROWID;

-- Payloads lie apart, so that a walk through the jobs does not pass over them.
CREATE TABLE payloads (
  id      INTEGER NOT NULL PRIMARY KEY,
  payload BLOB    NOT NULL
) STRICT;

CREATE TABLE job_state_transitions (
  job_id      BLOB    NOT NULL,
  id          INTEGER NOT NULL,             -- increases within a job
  state       INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  time        INTEGER NOT NULL,
  retry_at    INTEGER NOT NULL,             -- 0: none
  status_code INTEGER NOT NULL,             -- 0: no response
  duration    INTEGER NOT NULL,
  error_code  TEXT,
  error       TEXT,
  PRIMARY KEY (job_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE transactions (
  id         TEXT    NOT NULL PRIMARY KEY,
  created_at INTEGER NOT NULL,
  job_ids    BLOB,                          -- 20 bytes each
  state      INTEGER NOT NULL DEFAULT 0     -- 0: committed, 2: aborted, 3: moved
) STRICT, WITHOUT ROWID;

-- Transactions that were prepared. Each is so until transactions has its id.
CREATE TABLE preparations (
  id         TEXT    NOT NULL PRIMARY KEY,
  created_at INTEGER NOT NULL,
  deadline   INTEGER NOT NULL,
  job_ids    BLOB,
  size       INTEGER NOT NULL,              -- of its jobs, as their owner encodes them
  payload_id INTEGER NOT NULL               -- the first piece of them; each but the last has 1 MiB
) STRICT, WITHOUT ROWID;

-- The row with the highest id of a scope is the policy in force.
CREATE TABLE queue_policies (
  id          INTEGER NOT NULL PRIMARY KEY,
  source      TEXT    NOT NULL,
  destination TEXT    NOT NULL,
  policy      TEXT    NOT NULL,             -- JSON
  time        INTEGER NOT NULL
) STRICT;

-- What operators said of unfinished jobs, as these stood then.
CREATE TABLE orders (
  id          INTEGER NOT NULL PRIMARY KEY,
  source      TEXT    NOT NULL,
  destination TEXT    NOT NULL,
  kind        INTEGER NOT NULL,             -- 1: retry now, 2: to the archive
  seq         INTEGER NOT NULL,             -- comes after all transitions with a lower id
  time        INTEGER NOT NULL
) STRICT;

-- Who has owned the JobDB; only the last may write.
CREATE TABLE owners (
  epoch     INTEGER NOT NULL PRIMARY KEY,
  opened_at INTEGER NOT NULL
) STRICT;
