package web

import (
	"context"
	"time"

	"centrifuge/access/audit"
)

// Alerts shows what the rules found.
type Alerts interface {
	// Alerts returns those that fire and, after them, those that ended lately.
	Alerts(context.Context) ([]Alert, error)
}

// Alert is one rule that held of one thing for a time.
type Alert struct {
	Rule        string
	Severity    string // warning or critical
	Source      string // what it is about; both may be empty
	Destination string
	Text        string
	Since       time.Time
	Ended       time.Time // zero while it fires
}

// Fires reports whether the alert is not over.
func (a *Alert) Fires() bool { return a.Ended.IsZero() }

// Link is the page of what the alert is about; empty if that is everything.
func (a *Alert) Link() string {
	if a.Source == "" && a.Destination == "" {
		return ""
	}
	return scope{Source: a.Source, Destination: a.Destination}.Link()
}

// About names what the alert is about.
func (a *Alert) About() string {
	if a.Source == "" && a.Destination == "" {
		return "everything"
	}
	return scope{Source: a.Source, Destination: a.Destination}.Text()
}

// Audit shows who did what; [audit.Log] does.
type Audit interface {
	List(f audit.Filter, before string, limit int) (audit.Page, error)
}
