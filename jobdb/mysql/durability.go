package mysql

import (
	"context"
	"database/sql"
	"log/slog"
)

// warn tells the logger which of the server's settings would lose commits that
// were acknowledged.
func warn(ctx context.Context, db *sql.DB, logger *slog.Logger) error {
	var flush, sync, binlog int
	err := db.QueryRowContext(ctx, `SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.sync_binlog, @@GLOBAL.log_bin`).
		Scan(&flush, &sync, &binlog)
	if err != nil {
		return err
	}
	if flush != 1 && flush != 3 { // 3 is MariaDB's, and syncs more often than 1
		logger.WarnContext(ctx, "a crash of the server loses acknowledged jobs: set innodb_flush_log_at_trx_commit=1",
			"innodb_flush_log_at_trx_commit", flush)
	}
	if binlog != 0 && sync != 1 {
		logger.WarnContext(ctx, "a crash of the server loses acknowledged jobs from its binary log and its replicas: set sync_binlog=1",
			"sync_binlog", sync)
	}
	return nil
}
