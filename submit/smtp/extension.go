package smtp

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// An extension is what the envelope can ask of a server by one keyword of EHLO.
// A function returns the parameters to be added to the command, or "".
type extension struct {
	keyword string
	mail    func(e *envelope.Envelope) string  // for MAIL FROM
	rcpt    func(r *envelope.Recipient) string // for RCPT TO; may be nil
}

// extensions adds the parameters that the envelope wants and the server
// offers; for one more extension with parameters add a row. Those that change the
// session have none: STARTTLS (RFC 3207) and AUTH (RFC 4954) are in session.go,
// PIPELINING (RFC 2920) in fly.go, CHUNKING (RFC 3030) in transaction.go, LIMITS
// (RFC 9422) in announced, and reply.go reads the codes of ENHANCEDSTATUSCODES (RFC
// 2034) from servers that do not offer it, too.
var extensions = []extension{
	{"SIZE", mailSize, nil},             // RFC 1870
	{"8BITMIME", mailBody, nil},         // RFC 6152; without it the message is re-encoded
	{"SMTPUTF8", mailUTF8, nil},         // RFC 6531; see mailbox
	{"DSN", mailNotices, rcptNotices},   // RFC 3461
	{"REQUIRETLS", mailRequireTLS, nil}, // RFC 8689
}

// when returns the parameter if it is wanted, and else "".
func when(wanted bool, parameter string) string {
	if wanted {
		return " " + parameter
	}
	return ""
}

func mailSize(e *envelope.Envelope) string {
	return when(e.Size > 0, "SIZE="+strconv.FormatInt(e.Size, 10))
}

func mailBody(e *envelope.Envelope) string {
	return when(e.Body != envelope.BodyUnset, "BODY="+e.Body.String())
}

func mailUTF8(e *envelope.Envelope) string { return when(e.UTF8, "SMTPUTF8") }

func mailRequireTLS(e *envelope.Envelope) string { return when(e.RequireTLS, "REQUIRETLS") }

func mailNotices(e *envelope.Envelope) string {
	return when(e.Return != envelope.ReturnUnset, "RET="+e.Return.String()) + when(e.ID != "", "ENVID="+xtext(e.ID))
}

func rcptNotices(r *envelope.Recipient) string {
	return when(r.Notify != 0, "NOTIFY="+r.Notify.String()) + when(r.Original != "", "ORCPT=rfc822;"+xtext(r.Original))
}

// wantsNotices reports whether e says anything of delivery status notices.
func wantsNotices(e *envelope.Envelope) bool {
	return mailNotices(e) != "" ||
		slices.ContainsFunc(e.To, func(r envelope.Recipient) bool { return rcptNotices(&r) != "" })
}

// check returns an error if the server must not be given e. That it knows no
// notices is only worth a remark: the mail matters more than a notice about it.
func (s *Session) check(e *envelope.Envelope) error {
	if limit := sizeLimit(s.offered["SIZE"]); limit > 0 && e.Size > limit {
		return status.TooBig.Errorf("the message has %d octets, the server takes %d", e.Size, limit)
	}
	if e.RequireTLS && (s.tls == nil || !s.offers("REQUIRETLS")) {
		return status.NotAllowed.With(status.Code{Class: 5, Subject: 7, Detail: 30},
			fmt.Errorf("MAIL FROM:<%s>: the server cannot promise TLS on the whole way, as --require-tls demands (REQUIRETLS) (%s)", e.From, s.o.Host))
	}
	if !s.offers("DSN") && wantsNotices(e) {
		s.remark("the server does not know delivery status notices (DSN); what was asked of them is left out")
	}
	return nil
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
	if err := s.check(e); err != nil {
		return "", err
	}
	command := "MAIL FROM:<" + from + ">"
	for _, x := range extensions {
		if s.offers(x.keyword) {
			command += x.mail(e)
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
			command += x.rcpt(r)
		}
	}
	return command, nil
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
	s.trace('*', fmt.Sprintf("<%s> goes as <%s>: the server does not offer SMTPUTF8", a, ascii))
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
	return min(s.announced("RCPTMAX"), cmp.Or(s.o.MaxRecipients, math.MaxInt), cmp.Or(s.mostRecipients, math.MaxInt))
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
