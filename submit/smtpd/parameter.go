package smtpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sendoff/submit/envelope"
)

// An extension is one row of what EHLO offers, and what it adds to MAIL and
// RCPT.
type extension struct {
	keyword string
	offer   func(*session) (param string, ok bool)
	mail    []parameter
	rcpt    []parameter
}

// A parameter reads its value into the envelope; that of RCPT into the
// envelope's only recipient.
type parameter struct {
	name string
	set  func(e *envelope.Envelope, value string) error
}

var extensions = []extension{
	{"PIPELINING", always, nil, nil},
	{"SIZE", offerSize, []parameter{{"SIZE", setSize}}, nil},
	{"8BITMIME", always, []parameter{{"BODY", setBody}}, nil},
	{"SMTPUTF8", always, []parameter{{"SMTPUTF8", setUTF8}}, nil},
	{"DSN", always, []parameter{{"RET", setReturn}, {"ENVID", setID}},
		[]parameter{{"NOTIFY", setNotify}, {"ORCPT", setOriginal}}},
	{"REQUIRETLS", offerRequireTLS, []parameter{{"REQUIRETLS", setRequireTLS}}, nil},
	{"ENHANCEDSTATUSCODES", always, nil, nil},
	{"AUTH", offerAuth, []parameter{{"AUTH", ignore}}, nil},
}

// path reads the address after FROM: or TO:, and returns the words behind it.
func (s *session) path(args, prefix string) (a envelope.Address, params []string, err error) {
	if len(args) < len(prefix) || !strings.EqualFold(args[:len(prefix)], prefix) {
		return a, nil, fmt.Errorf("%s is missing", prefix)
	}
	text := strings.TrimLeft(args[len(prefix):], " \t") // against the grammar, but common
	var path, rest string
	if strings.HasPrefix(text, "<") {
		end := closing(text)
		if end < 0 {
			return a, nil, errors.New("> is missing")
		}
		path, rest = text[1:end], text[end+1:]
		if rest != "" && rest[0] != ' ' {
			return a, nil, errors.New("there must be a space behind the address")
		}
	} else {
		path, rest, _ = strings.Cut(text, " ")
		if !s.AllowUnqualified || path == "" {
			return a, nil, errors.New("the address must stand in angle brackets")
		}
	}
	if strings.HasPrefix(path, "<") || path != strings.Trim(path, " \t") {
		return a, nil, errors.New("the address is malformed")
	}
	if a, err = envelope.Parse(path); err != nil {
		return a, nil, errors.New(printable(err.Error()))
	}
	return a, strings.Fields(rest), nil
}

// closing returns the place of the > that ends a path, outside quotes; -1 if
// there is none.
func closing(text string) int {
	quoted := false
	for i := 1; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// parameters reads NAME=VALUE words by those parameters of the extensions that are
// offered; command selects the ones of MAIL or RCPT. It replies to the first that is
// not good, and returns whether all are.
func (s *session) parameters(words []string, command func(extension) []parameter, e *envelope.Envelope) bool {
	var allowed []parameter
	for _, x := range extensions {
		if _, ok := x.offer(s); ok && s.client.Extended {
			allowed = append(allowed, command(x)...)
		}
	}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		i := slices.IndexFunc(allowed, func(p parameter) bool { return strings.EqualFold(p.name, name) })
		if i < 0 {
			s.fault(555, "5.5.4", "unknown parameter, or one given twice")
			return false
		}
		if err := allowed[i].set(e, value); err != nil {
			s.fault(501, "5.5.4", allowed[i].name+": "+err.Error())
			return false
		}
		allowed = slices.Delete(allowed, i, i+1) // each may be given once
	}
	return true
}

var errValue = errors.New("the value is malformed")

func always(*session) (string, bool) { return "", true }

func offerSize(s *session) (string, bool) { return strconv.FormatInt(s.MaxSize, 10), true }

// offerRequireTLS is for sessions with TLS only (RFC 8689 section 2).
func offerRequireTLS(s *session) (string, bool) {
	_, ok := s.conn.(*tls.Conn)
	return "", ok
}

func setSize(e *envelope.Envelope, v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || v[0] < '0' || len(v) > 20 {
		return errValue
	}
	e.Size = n
	return nil
}

func setBody(e *envelope.Envelope, v string) error { return e.Body.Set(v) }

func setReturn(e *envelope.Envelope, v string) error { return e.Return.Set(v) }

func setNotify(e *envelope.Envelope, v string) error { return e.To[0].Notify.Set(v) }

func setUTF8(e *envelope.Envelope, v string) error { return setFlag(&e.UTF8, v) }

func setRequireTLS(e *envelope.Envelope, v string) error { return setFlag(&e.RequireTLS, v) }

// setFlag sets what is said by a parameter without a value.
func setFlag(to *bool, v string) error {
	if v != "" {
		return errValue
	}
	*to = true
	return nil
}

func setID(e *envelope.Envelope, v string) error {
	id, ok := unxtext(v)
	if !ok || len(v) > 100 || strings.ContainsFunc(id, func(r rune) bool { return r >= 0x7f }) {
		return errValue
	}
	e.ID = id
	return nil
}

// setOriginal keeps an address of type rfc822 or utf-8 (RFC 3461 section 4.2, RFC
// 6533 section 3); addresses of other types are checked and dropped.
func setOriginal(e *envelope.Envelope, v string) error {
	kind, address, ok := strings.Cut(v, ";")
	text, good := unxtext(address)
	if !ok || !good || kind == "" || text == "" || len(v) > 500 {
		return errValue
	}
	if strings.EqualFold(kind, "rfc822") || strings.EqualFold(kind, "utf-8") {
		e.To[0].Original = text
	}
	return nil
}

// ignore is for AUTH: a submitter trusts no client's word on who wrote a message
// (RFC 4954 section 5).
func ignore(*envelope.Envelope, string) error { return nil }

// unxtext decodes xtext (RFC 3461 section 4). What it decodes must be printable
// and valid UTF-8.
func unxtext(v string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '+':
			if len(v) < i+3 || strings.Trim(v[i+1:i+3], "0123456789ABCDEF") != "" {
				return "", false
			}
			n, _ := strconv.ParseUint(v[i+1:i+3], 16, 8)
			c = byte(n)
			i += 2
		case c <= ' ' || c == '=':
			return "", false
		}
		if c < ' ' || c == 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), utf8.ValidString(b.String())
}
