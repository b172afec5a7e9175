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

// An extension is an SMTP extension: its keyword in the reply to EHLO, and the parameters
// that it adds to MAIL and RCPT.
type extension struct {
	keyword string
	offer   func(*session) (param string, ok bool) // ok: it is offered, with the parameter param
	mail    []parameter
	rcpt    []parameter
}

// A parameter is a parameter of MAIL or RCPT. set stores its value in e; for RCPT, e has one
// recipient.
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

// path parses args: prefix, which is FROM: or TO:, an address and parameters.
func (s *session) path(args, prefix string) (a envelope.Address, params []string, err error) {
	if len(args) < len(prefix) || !strings.EqualFold(args[:len(prefix)], prefix) {
		return a, nil, fmt.Errorf("%s is missing", prefix)
	}
	text := strings.TrimLeft(args[len(prefix):], " \t") // white space here is not allowed, but common
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

// closing returns the index of the ">" that ends a path, which is not in quotes; -1 if there
// is none.
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

// parameters stores the parameters words, each NAME=VALUE or NAME, in e. Only parameters of
// offered extensions are allowed; command returns those of MAIL or RCPT. After a word that
// is wrong, parameters sends a reply and returns false.
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
		allowed = slices.Delete(allowed, i, i+1) // the client may give it once only
	}
	return true
}

var errValue = errors.New("the value is malformed")

func always(*session) (string, bool) { return "", true }

func offerSize(s *session) (string, bool) { return strconv.FormatInt(s.MaxSize, 10), true }

// offerRequireTLS offers REQUIRETLS in sessions with TLS only (RFC 8689 section 2).
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

// setFlag sets *to for a parameter that has no value.
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

// setOriginal stores ORCPT if its address type is rfc822 or utf-8 (RFC 3461 section 4.2,
// RFC 6533 section 3). Addresses of other types are checked, but not stored.
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

// ignore ignores the AUTH parameter, in which a client names the author: this server does
// not trust its clients in that (RFC 4954 section 5).
func ignore(*envelope.Envelope, string) error { return nil }

// unxtext decodes xtext (RFC 3461 section 4). It returns false if v is no xtext, or if the
// decoded text has control characters or invalid UTF-8.
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
