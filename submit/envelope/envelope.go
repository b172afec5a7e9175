// Package envelope has the envelope of a message: the sender, the recipients, and the
// parameters of MAIL and RCPT (RFC 5321 section 2.3.1).
//
//	MAIL FROM:<From> SIZE=Size BODY=Body SMTPUTF8 REQUIRETLS RET=Return ENVID=ID
//	RCPT TO:<To[0].Address> NOTIFY=To[0].Notify ORCPT=rfc822;To[0].Original
//
// Only Parse makes an Address, so no octet of it can end a command or add a parameter.
//
// Errors: Parse and Set return errors without a kind, because only the caller knows where
// the text came from. The error of Parse is one sentence that quotes the address.
package envelope

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of Set. After an error the receiver is unchanged.
var (
	errValue = errors.New("the value is malformed")
	ErrNever = errors.New("NEVER cannot be combined with others")
)

// set sets *to to the value among values whose word is text, in upper or lower case.
func set[T fmt.Stringer](to *T, text string, values ...T) error {
	for _, value := range values {
		if strings.EqualFold(value.String(), text) {
			*to = value
			return nil
		}
	}
	return errValue
}

// A Recipient is a forward-path with its delivery status parameters.
type Recipient struct {
	Address  Address
	Notify   Notify // NOTIFY=
	Original string // ORCPT=, not encoded; "": none
}

// An Envelope is the contents of MAIL and RCPT.
type Envelope struct {
	From Address // the reverse-path; zero: <>
	To   []Recipient
	Size int64 // SIZE=, in octets of the wire form without dot-stuffing; 0: unknown
	Body Body  // BODY=
	UTF8 bool  // SMTPUTF8
	// RequireTLS is REQUIRETLS: no server may pass the message on without TLS (RFC 8689).
	RequireTLS bool
	Return     Return // RET=
	ID         string // ENVID=, not encoded; "": none
}

// Form says which extensions the server offers that decide about the form of a message.
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

// String returns the value of the parameter; "" for BodyUnset.
func (b Body) String() string {
	return [...]string{"", "7BIT", "8BITMIME"}[b]
}

// Set sets b from a value of String, in upper or lower case. "" is an error.
func (b *Body) Set(text string) error { return set(b, text, Body7Bit, Body8BitMIME) }

// Return is the RET parameter of MAIL (RFC 3461 section 4.3).
type Return uint8

// The parts of the message that a delivery status notice returns.
const (
	ReturnUnset Return = iota
	ReturnFull
	ReturnHeaders
)

// String returns the value of the parameter; "" for ReturnUnset.
func (r Return) String() string {
	return [...]string{"", "FULL", "HDRS"}[r]
}

// Set sets r from a value of String, in upper or lower case. "" is an error.
func (r *Return) Set(text string) error { return set(r, text, ReturnFull, ReturnHeaders) }

// Notify is the NOTIFY parameter of RCPT (RFC 3461 section 4.1): NotifyNever, or a sum of
// the other values. 0: the parameter is not sent.
type Notify uint8

// The events for which the sender wants a notice.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// String returns the value of the parameter; "" for 0.
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

// Set sets n from words with commas between them, in any order, in upper or lower case.
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
