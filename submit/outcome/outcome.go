// Package outcome has what becomes of the recipients of a message, and how the caller
// hears of it:
//
//	recipient ── Outcome: Verdict, error or reply ──┐
//	recipient ── Outcome ── the same words ─────────┴─ Failure ── Report ──> exit code, stderr
//
// Package submit decides the verdicts, and says by which policy (settle.go).
//
// Error: a Report is one.
package outcome

import (
	"sendoff/submit/envelope"
	"sendoff/submit/smtp"
)

// A Verdict is what becomes of a recipient.
type Verdict uint8

// The states of a recipient.
const (
	Open     Verdict = iota // there is no outcome yet, or it was not judged yet
	Sent                    // the server has taken the message
	Waits                   // it is tried again from the queue
	Returned                // whoever called has to send it again
	Refused                 // it is not tried again
	Told                    // the same, and the sender is told, or nobody wants to know
)

// An Outcome is the server's answer about a recipient, and the verdict that follows.
type Outcome struct {
	Verdict Verdict
	Err     error       // why the server has not taken the message; nil: it has, or was not asked yet
	Unknown bool        // with Err: the server may have taken the message nevertheless (RFC 1047)
	Reply   *smtp.Reply // without Err: the reply by which the server took the message
}

// IsKnown reports whether there is an answer or an error.
func (o *Outcome) IsKnown() bool { return o.Verdict != Open || o.Err != nil }

// A Failure is an outcome with an error that one or more recipients share.
type Failure struct {
	Outcome
	To []envelope.Address // empty: the failure is not about the recipients of the message
}
