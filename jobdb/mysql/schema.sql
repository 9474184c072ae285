-- A JobDB. Rows are inserted, never updated or deleted; no query joins jobs.
-- Times are milliseconds since 1970, durations nanoseconds. Names and texts are
-- bytes: in a VARBINARY case, accents and spaces at the end all count.

CREATE TABLE IF NOT EXISTS jobs (
  id          BINARY(20)      NOT NULL PRIMARY KEY, -- KSUID
  source      VARBINARY(1024) NOT NULL,
  destination VARBINARY(1024) NOT NULL,
  created_at  BIGINT          NOT NULL,
  expire_at   BIGINT          NOT NULL,
  endpoint    MEDIUMBLOB      NOT NULL,
  method      VARBINARY(255)  NOT NULL,
  headers     MEDIUMBLOB,
  settings    VARBINARY(255),
  replay_of   BINARY(20),                           -- a job's id
  payload_id  BIGINT          NOT NULL              -- in payloads; 0: the payload is empty
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Payloads lie apart, so that a walk through the jobs does not pass over them.
CREATE TABLE IF NOT EXISTS payloads (
  id      BIGINT   NOT NULL PRIMARY KEY,
  payload LONGBLOB NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS job_state_transitions (
  job_id      BINARY(20)       NOT NULL,
  id          BIGINT           NOT NULL,            -- increases within a job
  state       TINYINT UNSIGNED NOT NULL,
  attempt     INT UNSIGNED     NOT NULL,
  time        BIGINT           NOT NULL,
  retry_at    BIGINT           NOT NULL,            -- 0: none
  status_code INT              NOT NULL,            -- 0: no response
  duration    BIGINT           NOT NULL,
  error_code  VARBINARY(255),
  error       MEDIUMBLOB,
  PRIMARY KEY (job_id, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS transactions (
  id         VARBINARY(1024) NOT NULL PRIMARY KEY,
  created_at BIGINT          NOT NULL,
  job_ids    MEDIUMBLOB,                            -- 20 bytes each
  state      TINYINT UNSIGNED NOT NULL DEFAULT 0    -- 0: committed, 2: aborted, 3: moved
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Transactions that were prepared. Each is so until transactions has its id.
CREATE TABLE IF NOT EXISTS preparations (
  id         VARBINARY(1024) NOT NULL PRIMARY KEY,
  created_at BIGINT          NOT NULL,
  deadline   BIGINT          NOT NULL,
  job_ids    MEDIUMBLOB,
  size       BIGINT          NOT NULL,              -- of its jobs, as their owner encodes them
  payload_id BIGINT          NOT NULL               -- the first piece of them; each but the last has 1 MiB
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- The row with the highest id of a scope is the policy in force.
CREATE TABLE IF NOT EXISTS queue_policies (
  id          BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
  source      VARBINARY(1024) NOT NULL,
  destination VARBINARY(1024) NOT NULL,
  policy      MEDIUMBLOB      NOT NULL,             -- JSON
  time        BIGINT          NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- What operators said of unfinished jobs, as these stood then.
CREATE TABLE IF NOT EXISTS orders (
  id          BIGINT           NOT NULL AUTO_INCREMENT PRIMARY KEY,
  source      VARBINARY(1024)  NOT NULL,
  destination VARBINARY(1024)  NOT NULL,
  kind        TINYINT UNSIGNED NOT NULL,            -- 1: retry now, 2: to the archive
  seq         BIGINT           NOT NULL,            -- comes after all transitions with a lower id
  time        BIGINT           NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Who has owned the JobDB; only the last may write. Epoch 0 is nobody's: whoever
-- writes to the JobDB holds a lock on that row until the transaction ends.
CREATE TABLE IF NOT EXISTS owners (
  epoch     BIGINT NOT NULL PRIMARY KEY,
  opened_at BIGINT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

INSERT IGNORE INTO owners (epoch, opened_at) VALUES (0, 0);
