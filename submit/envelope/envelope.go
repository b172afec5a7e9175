// Package envelope holds what a mail transaction is about: who sends, to whom,
// and on what terms (RFC 5321 section 2.3.1).
//
//	MAIL FROM:<From> SIZE=Size BODY=Body SMTPUTF8 REQUIRETLS RET=Return ENVID=ID
//	RCPT TO:<To[0].Address> NOTIFY=To[0].Notify ORCPT=rfc822;To[0].Original
//
// An Address can only be made by Parse, so no byte of it can end a command or
// add a parameter to one.
//
// Errors: Parse returns plain errors, one sentence that quotes the address; the
// caller, who knows where the address came from, gives them their kind. So it is with
// the errors of Set.
package envelope

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of Set, which leaves its receiver as it was.
var (
	errValue = errors.New("the value is malformed")
	ErrNever = errors.New("NEVER cannot be combined with others")
)

// set is Set for one of the values that stand for a word.
func set[T fmt.Stringer](to *T, text string, values ...T) error {
	for _, value := range values {
		if strings.EqualFold(value.String(), text) {
			*to = value
			return nil
		}
	}
	return errValue
}

// A Recipient is one forward-path and its delivery status parameters.
type Recipient struct {
	Address  Address
	Notify   Notify // NOTIFY=
	Original string // ORCPT=, unencoded; empty for none
}

// An Envelope is what MAIL and RCPT say.
type Envelope struct {
	From Address // the reverse-path; zero for <>
	To   []Recipient
	Size int64 // SIZE=, in octets of the wire form without dot-stuffing; 0 if unknown
	Body Body  // BODY=
	UTF8 bool  // SMTPUTF8
	// RequireTLS is REQUIRETLS: no server may pass the message on without TLS (RFC 8689).
	RequireTLS bool
	Return     Return // RET=
	ID         string // ENVID=, unencoded; empty for none
}

// Form is the form that a message must have for the next hop, by the extensions that
// the server offers.
type Form struct {
	EightBit bool // 8BITMIME (RFC 6152)
	UTF8     bool // SMTPUTF8 (RFC 6531)
}

// Body is the BODY parameter of MAIL (RFC 6152).
type Body uint8

const (
	BodyUnset Body = iota
	Body7Bit
	Body8BitMIME
)

// String returns the parameter's value; "" for BodyUnset.
func (b Body) String() string {
	return [...]string{"", "7BIT", "8BITMIME"}[b]
}

// Set reads what String returns, in upper or lower case, but for "".
func (b *Body) Set(text string) error { return set(b, text, Body7Bit, Body8BitMIME) }

// Return is the RET parameter of MAIL (RFC 3461 section 4.3).
type Return uint8

// What a delivery status notice returns.
const (
	ReturnUnset Return = iota
	ReturnFull
	ReturnHeaders
)

// String returns the parameter's value; "" for ReturnUnset.
func (r Return) String() string {
	return [...]string{"", "FULL", "HDRS"}[r]
}

// Set reads what String returns, in upper or lower case, but for "".
func (r *Return) Set(text string) error { return set(r, text, ReturnFull, ReturnHeaders) }

// Notify is the NOTIFY parameter of RCPT (RFC 3461 section 4.1): NotifyNever,
// or a sum of the others.
type Notify uint8

// The events to be notified of.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// String returns the parameter's value; "" for the zero Notify.
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	s := ""
	for i, word := range [...]string{"SUCCESS", "FAILURE", "DELAY"} {
		if n&(1<<i) != 0 {
			s += "," + word
		}
	}
	return strings.TrimPrefix(s, ",")
}

// Set reads words in upper or lower case and in any order, with commas between them.
func (n *Notify) Set(text string) error {
	var sum, one Notify
	for word := range strings.SplitSeq(text, ",") {
		if err := set(&one, strings.TrimSpace(word), NotifySuccess, NotifyFailure, NotifyDelay, NotifyNever); err != nil {
			return err
		}
		sum |= one
	}
	if sum&NotifyNever != 0 && sum != NotifyNever {
		return ErrNever
	}
	*n = sum
	return nil
}
