package web

import (
	"context"
	"time"

	"centrifuge"
	"centrifuge/visibility"
)

// History answers what became of deliveries over time; [visibility.Store] does.
type History interface {
	Series(context.Context, visibility.Filter, visibility.Range, time.Duration) ([]visibility.Point, error)
	Summary(context.Context, visibility.Filter, visibility.Range) (visibility.Summary, error)
	Breakdown(context.Context, visibility.Filter, visibility.Range) ([]visibility.CodeCount, error)
	ByAttempt(context.Context, visibility.Filter, visibility.Range) ([]visibility.AttemptCount, error)
	Top(context.Context, visibility.By, visibility.Filter, visibility.Range, visibility.Order, int) ([]visibility.TopRow, error)
	Volumes(context.Context, visibility.By, visibility.Filter, visibility.Range) ([]visibility.TopRow, error)
	Samples(context.Context, centrifuge.QueueKey, *visibility.Code) ([]visibility.Sample, error)
	Gaps(context.Context, visibility.Range) ([]visibility.Gap, error)
}

// noHistory is in the place of a History that there is not: nothing happened.
type noHistory struct{}

func (noHistory) Series(context.Context, visibility.Filter, visibility.Range, time.Duration) ([]visibility.Point, error) {
	return nil, nil
}

func (noHistory) Summary(context.Context, visibility.Filter, visibility.Range) (visibility.Summary, error) {
	return visibility.Summary{}, nil
}

func (noHistory) Breakdown(context.Context, visibility.Filter, visibility.Range) ([]visibility.CodeCount, error) {
	return nil, nil
}

func (noHistory) ByAttempt(context.Context, visibility.Filter, visibility.Range) ([]visibility.AttemptCount, error) {
	return nil, nil
}

func (noHistory) Top(context.Context, visibility.By, visibility.Filter, visibility.Range, visibility.Order, int) ([]visibility.TopRow, error) {
	return nil, nil
}

func (noHistory) Volumes(context.Context, visibility.By, visibility.Filter, visibility.Range) ([]visibility.TopRow, error) {
	return nil, nil
}

func (noHistory) Samples(context.Context, centrifuge.QueueKey, *visibility.Code) ([]visibility.Sample, error) {
	return nil, nil
}

func (noHistory) Gaps(context.Context, visibility.Range) ([]visibility.Gap, error) { return nil, nil }
