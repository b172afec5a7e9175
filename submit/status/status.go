// Package status names every way a submission can fail.
//
// Every error that reaches main has an enhanced status code (RFC 3463),
// whether a server said it or the disk did. Scope and class decide whether the
// mail is kept for another try; the table below gives the exit code
// (sysexits(3)) that the caller sees, and hint.go the remedy.
//
//	           err := status.NoUser.Errorf("RCPT TO:<%s>: %s", a, reply)
//	                        │
//	  ┌─────────────────┬───┴────────────┬───────────────┐
//	Of(err) 5.1.1   KindOf(err).Scope()  Exit(err) 67   Hint(err) "check the address"
//
// Errors: this package makes them and returns none of its own.
package status

import (
	"errors"
	"fmt"
)

// A Scope says what a failure is about, and so who must act on it.
type Scope uint8

// The scopes, from the narrowest cause to the widest.
const (
	Recipient Scope = iota // this recipient only; the others may be fine
	Message                // this message, for all its recipients
	Account                // the account or the way to its smarthost; never the message's fault
	Local                  // this invocation: the message is not whole or not sendable
)

// A Kind is one row of the table of failures.
type Kind uint8

// The kinds of failure. The zero Kind is the one of an error that nobody
// classified: it is temporary, because mail is never given up for an unknown
// reason.
const (
	Temporary Kind = iota
	Usage
	Data
	TooBig
	NoInput
	NoUser
	Refused
	NotAllowed
	Bug
	Config
	AuthFailed
	Insecure
	Credential
	Connection
	Deferred
	Limited
	Lost
)

type row struct {
	name  string
	scope Scope
	code  Code
	exit  int
	means string
}

// table is the table of failures. A new kind is a constant above, before Lost, a row
// here, and a line of EXIT STATUS in sendoff(1); a test holds the two together.
var table = [...]row{
	Usage:      {"usage", Local, Code{5, 5, 4}, 64, "command line wrong, or no recipients"},
	Data:       {"data", Local, Code{5, 6, 0}, 65, "message or an address in it cannot be sent"},
	TooBig:     {"too big", Message, Code{5, 3, 4}, 65, "message larger than the server or the account allows"},
	NoInput:    {"no input", Local, Code{5, 3, 0}, 66, "standard input or an attachment unreadable"},
	NoUser:     {"no such user", Recipient, Code{5, 1, 1}, 67, "a recipient does not exist"},
	Refused:    {"refused", Recipient, Code{5, 0, 0}, 69, "server refused for good"},
	Bug:        {"bug", Local, Code{5, 3, 5}, 70, "sendoff itself failed; please report it"},
	Temporary:  {"temporary", Message, Code{4, 3, 0}, 75, "not sent now, but worth another try"},
	Connection: {"connection", Account, Code{4, 4, 1}, 75, "server not reached, or not ready to take mail"},
	Deferred:   {"deferred", Recipient, Code{4, 0, 0}, 75, "server refused for now"},
	Limited:    {"limit", Account, Code{4, 7, 0}, 75, "server takes no more of the account's mail for now"},
	Lost:       {"lost", Message, Code{4, 4, 2}, 75, "connection or protocol broke while sending"},
	NotAllowed: {"not allowed", Recipient, Code{5, 7, 1}, 77, "server's policy refused the message, its sender or a recipient"},
	AuthFailed: {"login failed", Account, Code{4, 7, 8}, 77, "server refused the login"},
	Insecure:   {"insecure", Account, Code{4, 7, 5}, 77, "TLS, a certificate or a mechanism was not good enough"},
	Credential: {"credential", Account, Code{4, 7, 0}, 77, "the password could not be read"},
	Config:     {"configuration", Account, Code{4, 3, 5}, 78, "configuration or account wrong"},
}

// String returns the kind's name, as the manual uses it.
func (k Kind) String() string { return table[k].name }

// Scope returns what failures of this kind are about.
func (k Kind) Scope() Scope { return table[k].scope }

// Code returns the enhanced status code that failures of this kind have when
// no server gave a better one.
func (k Kind) Code() Code { return table[k].code }

// Exit returns the exit code of this kind (sysexits(3)).
func (k Kind) Exit() int { return table[k].exit }

// Means says in a few words what the kind is used for, as the manual does.
func (k Kind) Means() string { return table[k].means }

// failure is an error that has a kind.
type failure struct {
	kind Kind
	code Code
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Errorf is fmt.Errorf with the kind k.
func (k Kind) Errorf(format string, args ...any) error {
	return &failure{k, k.Code(), fmt.Errorf(format, args...)}
}

// Wrap gives err the kind k. A nil err stays nil, and an err that has a kind
// keeps it.
func (k Kind) Wrap(err error) error {
	if err == nil || errors.As(err, new(*failure)) {
		return err
	}
	return &failure{k, k.Code(), err}
}

// With gives err the kind k and the code a server gave, whatever err was.
func (k Kind) With(c Code, err error) error {
	return &failure{k, c, err}
}

// Recall makes an error again of the code and the words that are kept of one. Its kind is
// the one whose own code that is: no other kind has hints for more than a server's words.
func Recall(c Code, words string) error {
	kind := Refused
	for k, row := range table {
		if row.code == c {
			kind = Kind(k)
			break
		}
	}
	if c == lookupCode {
		kind = Connection
	}
	return kind.With(c, errors.New(words))
}

// Of returns the code of err; for an error that nobody classified, 4.3.0.
//
//go:noinline
func Of(err error) Code {
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return Temporary.Code()
}

// KindOf returns the kind of err; for an error that nobody classified,
// Temporary.
//
//go:noinline
func KindOf(err error) Kind {
	var f *failure
	if errors.As(err, &f) {
		return f.kind
	}
	return Temporary
}

// Exit returns the exit code for err: 0 for nil, else its kind's.
func Exit(err error) int {
	if err == nil {
		return 0
	}
	return KindOf(err).Exit()
}
