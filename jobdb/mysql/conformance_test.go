package mysql_test

import (
	"context"
	"testing"

	"centrifuge/jobdb"
	"centrifuge/jobdb/jobdbtest"
	"centrifuge/jobdb/mysql"
	"centrifuge/jobdb/mysql/mysqltest"
)

func TestConformance(t *testing.T) {
	server := mysqltest.Start(t)
	jobdbtest.Run(t, func(testing.TB) jobdbtest.Open {
		schema := server.Schema()
		return func(ctx context.Context, epoch uint64) (jobdb.DB, error) {
			return mysql.Open(ctx, mysql.Options{
				Server: mysql.Server{Address: server.Address, User: mysqltest.User, Password: mysqltest.Password},
				Schema: schema, Epoch: epoch,
			})
		}
	})
}
