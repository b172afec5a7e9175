package smtp

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// An extension is what we know of one keyword of EHLO.
type extension struct {
	keyword string
	mail    func(s *Session, e *envelope.Envelope) (param string, err error) // added to MAIL FROM
	rcpt    func(r *envelope.Recipient) (param string)                       // added to RCPT TO
	// lacking is called if the server does not offer the keyword. It returns a
	// remark on what the sender asked for and does not get, or an error if the
	// mail must not be sent without.
	lacking func(e *envelope.Envelope) (remark string, err error)
}

// extensions adds the parameters that the envelope wants and the server
// offers; for one more extension with parameters add a row. Those that change the
// session have none: STARTTLS (RFC 3207) and AUTH (RFC 4954) are in session.go,
// PIPELINING (RFC 2920) in fly.go, CHUNKING (RFC 3030) in transaction.go, LIMITS
// (RFC 9422) in announced, and reply.go reads the codes of ENHANCEDSTATUSCODES (RFC
// 2034) from servers that do not offer it, too.
var extensions = []extension{
	{"SIZE", mailSize, nil, nil},                           // RFC 1870
	{"8BITMIME", mailBody, nil, nil},                       // RFC 6152; without it the message is re-encoded
	{"SMTPUTF8", mailUTF8, nil, nil},                       // RFC 6531; see mailbox
	{"DSN", mailNotices, rcptNotices, lackingNotices},      // RFC 3461
	{"REQUIRETLS", mailRequireTLS, nil, lackingRequireTLS}, // RFC 8689
}

func mailSize(s *Session, e *envelope.Envelope) (string, error) {
	if e.Size == 0 {
		return "", nil
	}
	if limit := sizeLimit(s.offered["SIZE"]); limit > 0 && e.Size > limit {
		return "", status.TooBig.Errorf("the message has %d octets, the server takes %d", e.Size, limit)
	}
	return fmt.Sprintf("SIZE=%d", e.Size), nil
}

// sizeUnits are what servers write behind a number of octets, which RFC 1870 has
// no unit for.
var sizeUnits = map[string]int64{
	"": 1, "B": 1, "BYTES": 1, "OCTETS": 1,
	"K": 1 << 10, "KB": 1 << 10, "KIB": 1 << 10,
	"M": 1 << 20, "MB": 1 << 20, "MIB": 1 << 20,
	"G": 1 << 30, "GB": 1 << 30, "GIB": 1 << 30,
}

// sizeLimit reads the argument of SIZE, a decimal number whatever it begins
// with; 0 means that there is no limit, or none that we understand.
func sizeLimit(arg string) int64 {
	arg = strings.TrimSpace(arg)
	digits := len(arg) - len(strings.TrimLeft(arg, "0123456789"))
	n, err := strconv.ParseInt(arg[:digits], 10, 64)
	unit := sizeUnits[strings.ToUpper(strings.TrimSpace(arg[digits:]))]
	if err != nil || unit == 0 || n > math.MaxInt64/unit {
		return 0
	}
	return n * unit
}

func mailBody(_ *Session, e *envelope.Envelope) (string, error) {
	if e.Body == envelope.BodyUnset {
		return "", nil
	}
	return "BODY=" + e.Body.String(), nil
}

func mailUTF8(_ *Session, e *envelope.Envelope) (string, error) {
	if !e.UTF8 {
		return "", nil
	}
	return "SMTPUTF8", nil
}

func mailNotices(_ *Session, e *envelope.Envelope) (string, error) {
	var params []string
	if e.Return != envelope.ReturnUnset {
		params = append(params, "RET="+e.Return.String())
	}
	if e.ID != "" {
		params = append(params, "ENVID="+xtext(e.ID))
	}
	return strings.Join(params, " "), nil
}

func rcptNotices(r *envelope.Recipient) string {
	var params []string
	if n := r.Notify.String(); n != "" {
		params = append(params, "NOTIFY="+n)
	}
	if r.Original != "" {
		params = append(params, "ORCPT=rfc822;"+xtext(r.Original))
	}
	return strings.Join(params, " ")
}

// lackingNotices is no error: the mail matters more than a notice about it.
func lackingNotices(e *envelope.Envelope) (string, error) {
	wanted := e.Return != envelope.ReturnUnset || e.ID != ""
	for i := range e.To {
		wanted = wanted || rcptNotices(&e.To[i]) != ""
	}
	if !wanted {
		return "", nil
	}
	return "the server does not know delivery status notices (DSN); what was asked of them is left out", nil
}

func mailRequireTLS(s *Session, e *envelope.Envelope) (string, error) {
	if e.RequireTLS && s.tls == nil {
		return lackingRequireTLS(e)
	}
	if !e.RequireTLS {
		return "", nil
	}
	return "REQUIRETLS", nil
}

// lackingRequireTLS refuses to send what must not go on without TLS to a
// server that would not see to it.
func lackingRequireTLS(e *envelope.Envelope) (string, error) {
	if !e.RequireTLS {
		return "", nil
	}
	return "", status.NotAllowed.With(status.Code{Class: 5, Subject: 7, Detail: 30},
		errors.New("the server cannot promise TLS on the whole way, as --require-tls demands (REQUIRETLS)"))
}

// xtext encodes s for a DSN parameter (RFC 3461 section 4).
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// mailCommand is the MAIL command for e.
func (s *Session) mailCommand(e *envelope.Envelope) (string, error) {
	from, err := s.mailbox(e.From)
	if err != nil {
		return "", status.NotAllowed.With(noUTF8, fmt.Errorf("MAIL FROM:<%s>: %w", e.From, err))
	}
	command := "MAIL FROM:<" + from + ">"
	for _, x := range extensions {
		switch {
		case !s.offers(x.keyword) && x.lacking != nil:
			remark, err := x.lacking(e)
			if err != nil {
				return "", fmt.Errorf("MAIL FROM:<%s>: %w (%s)", e.From, err, s.o.Host)
			}
			s.remark(remark)
		case s.offers(x.keyword) && x.mail != nil:
			param, err := x.mail(s, e)
			if err != nil {
				return "", err
			}
			command = join(command, param)
		}
	}
	return command, nil
}

// rcptCommand is the RCPT command for r.
func (s *Session) rcptCommand(r *envelope.Recipient) (string, error) {
	to, err := s.mailbox(r.Address)
	if err != nil {
		return "", status.NotAllowed.With(noUTF8, fmt.Errorf("RCPT TO:<%s>: %w", r.Address, err))
	}
	command := "RCPT TO:<" + to + ">"
	for _, x := range extensions {
		if x.rcpt != nil && s.offers(x.keyword) {
			command = join(command, x.rcpt(r))
		}
	}
	return command, nil
}

// join adds a parameter, if there is one, to a command.
func join(command, param string) string {
	if param == "" {
		return command
	}
	return command + " " + param
}

// noUTF8 is the status of an address that the server cannot be told (RFC 6531
// section 3.5).
var noUTF8 = status.Code{Class: 5, Subject: 6, Detail: 7}

// mailbox returns a as the server takes it: with UTF-8 only if it offers
// SMTPUTF8; otherwise a domain goes as its A-label (RFC 5890), but a local part
// has no other form.
func (s *Session) mailbox(a envelope.Address) (string, error) {
	if !a.UTF8() || s.offers("SMTPUTF8") {
		return a.String(), nil
	}
	ascii, ok := a.ASCII()
	if !ok {
		return "", fmt.Errorf("the server takes no address with characters outside ASCII (SMTPUTF8) (%s)", s.o.Host)
	}
	if s.o.Trace != nil {
		s.trace('*', fmt.Sprintf("<%s> goes as <%s>: the server does not offer SMTPUTF8", a, ascii))
	}
	return ascii.String(), nil
}

// announced is the limit of that name that the server has said (RFC 9422).
func (s *Session) announced(name string) int {
	most := math.MaxInt
	for _, limit := range strings.Fields(strings.ToUpper(s.offered["LIMITS"])) {
		value, ok := strings.CutPrefix(limit, name+"=")
		if n, err := strconv.Atoi(value); ok && err == nil && n > 0 {
			most = min(most, n)
		}
	}
	return most
}

// maxRecipients is how many recipients the next transaction may have: as many
// as we want, the server announced, or has let pass before.
func (s *Session) maxRecipients() int {
	most := s.announced("RCPTMAX")
	if s.o.MaxRecipients > 0 {
		most = min(most, s.o.MaxRecipients)
	}
	if s.mostRecipients > 0 {
		most = min(most, s.mostRecipients)
	}
	return most
}

// offers reports whether the server's last EHLO reply had the keyword.
func (s *Session) offers(keyword string) bool {
	_, ok := s.offered[keyword]
	return ok
}

// parseExtensions reads the lines of an EHLO reply after the first. Keywords
// are kept in upper case. No keyword has a "=" (RFC 5321 section 4.1.1.1): old
// servers write "AUTH=LOGIN", often beside the right form, and some "SIZE=99".
func parseExtensions(lines []string) map[string]string {
	m := make(map[string]string)
	for _, line := range lines {
		line = strings.TrimSpace(line)
		n := len(line)
		if i := strings.IndexAny(line, " ="); i >= 0 {
			n = i
		}
		keyword, args := strings.ToUpper(line[:n]), strings.TrimLeft(line[n:], " =")
		if keyword == "" {
			continue
		}
		if had, ok := m[keyword]; ok && keyword == "AUTH" {
			args = had + " " + args
		}
		m[keyword] = strings.TrimSpace(args)
	}
	return m
}

// mechanisms returns the SASL mechanisms the server offers, in upper case.
func (s *Session) mechanisms() []string {
	names := strings.FieldsFunc(strings.ToUpper(s.offered["AUTH"]), func(r rune) bool { return r == ' ' || r == ',' })
	slices.Sort(names)
	return slices.Compact(names)
}
