package sqlbody

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"centrifuge/jobdb"
)

func (w *writer) insertOrders(ctx context.Context, orders []jobdb.Order) error {
	for i := range orders {
		o := &orders[i]
		w.args = append(w.args, o.Scope.Source, o.Scope.Destination, int64(o.Kind), int64(o.Seq), o.Time.UnixMilli())
	}
	return w.flush(ctx, &w.orders)
}

// Orders implements [jobdb.DB].
func (b *Body) Orders(ctx context.Context, since time.Time) ([]jobdb.Order, error) {
	var orders []jobdb.Order
	err := b.snapshot(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx.StmtContext(ctx, b.reads.orders), func(rows *sql.Rows) error {
			var o jobdb.Order
			var kind, seq, given int64
			if err := rows.Scan(&o.Scope.Source, &o.Scope.Destination, &kind, &seq, &given); err != nil {
				return err
			}
			o.Seq, o.Time = uint64(seq), fromMilli(given)
			if o.Kind = jobdb.OrderKind(kind); int64(o.Kind) != kind || !o.Kind.Valid() {
				return fmt.Errorf("order of kind %d for %q: %w", kind, o.Scope, jobdb.ErrCorrupt)
			}
			orders = append(orders, o)
			return nil
		}, since.UnixMilli())
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return orders, nil
}
