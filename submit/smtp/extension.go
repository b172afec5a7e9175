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

// An extension is an EHLO keyword, with the functions that return its parameters for a
// command: each with a space before it, or "".
type extension struct {
	keyword string
	mail    func(e *envelope.Envelope) string  // for MAIL FROM
	rcpt    func(r *envelope.Recipient) string // for RCPT TO; may be nil
}

// extensions are the extensions with parameters; a new one is a new row. The extensions
// without parameters are elsewhere: STARTTLS (RFC 3207) and AUTH (RFC 4954) in
// session.go, PIPELINING (RFC 2920) in fly.go, CHUNKING (RFC 3030) in transaction.go,
// LIMITS (RFC 9422) in serverLimit. reply.go reads enhanced codes (RFC 2034) also from
// servers that do not offer ENHANCEDSTATUSCODES.
var extensions = []extension{
	{"SIZE", mailSize, nil},             // RFC 1870
	{"8BITMIME", mailBody, nil},         // RFC 6152; without it the message is re-encoded
	{"SMTPUTF8", mailUTF8, nil},         // RFC 6531; see mailbox
	{"DSN", mailNotices, rcptNotices},   // RFC 3461
	{"REQUIRETLS", mailRequireTLS, nil}, // RFC 8689
}

// when returns a space and the parameter if wanted is true, and else "".
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

// wantsNotices reports whether e has a parameter about delivery status notices.
func wantsNotices(e *envelope.Envelope) bool {
	return mailNotices(e) != "" ||
		slices.ContainsFunc(e.To, func(r envelope.Recipient) bool { return rcptNotices(&r) != "" })
}

// check returns an error if e must not be sent to the server. If only DSN is missing,
// check makes a remark: the mail matters more than a notice about it.
func (s *Session) check(e *envelope.Envelope) error {
	if limit := sizeLimit(s.offered["SIZE"]); limit > 0 && e.Size > limit {
		return status.TooBig.Errorf("the message has %d octets, the server accepts at most %d", e.Size, limit)
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

// sizeUnits are the units, in octets, that some servers write behind the number of SIZE,
// although RFC 1870 has none.
var sizeUnits = map[string]int64{
	"": 1, "B": 1, "BYTES": 1, "OCTETS": 1,
	"K": 1 << 10, "KB": 1 << 10, "KIB": 1 << 10,
	"M": 1 << 20, "MB": 1 << 20, "MIB": 1 << 20,
	"G": 1 << 30, "GB": 1 << 30, "GIB": 1 << 30,
}

// sizeLimit returns the argument of SIZE in octets. The number is decimal, also with
// leading zeros. 0 means no limit, or an argument that is not understood.
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

// mailCommand returns the MAIL command for e, or why e cannot be sent to this server.
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

// rcptCommand returns the RCPT command for r, or why the server cannot be given r.
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

// noUTF8 is the status for an address that needs SMTPUTF8 where the server does not offer
// it (RFC 6531 section 3.5).
var noUTF8 = status.Code{Class: 5, Subject: 6, Detail: 7}

// mailbox returns a in the form that the server accepts: in UTF-8 if it offers SMTPUTF8,
// otherwise with the domain as A-labels (RFC 5890). It fails if the local part is not
// ASCII, because a local part has no other form.
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

// serverLimit returns the server's limit of that name, such as MAILMAX (RFC 9422);
// math.MaxInt if it has none.
func (s *Session) serverLimit(name string) int {
	lowest := math.MaxInt
	for _, limit := range strings.Fields(strings.ToUpper(s.offered["LIMITS"])) {
		value, ok := strings.CutPrefix(limit, name+"=")
		if n, err := strconv.Atoi(value); ok && err == nil && n > 0 {
			lowest = min(lowest, n)
		}
	}
	return lowest
}

// maxRecipients returns the largest number of recipients for the next transaction, by
// LIMITS, by Options, and by how many the server accepted when it refused more.
func (s *Session) maxRecipients() int {
	return min(s.serverLimit("RCPTMAX"), cmp.Or(s.o.MaxRecipients, math.MaxInt), cmp.Or(s.mostRecipients, math.MaxInt))
}

// offers reports whether the server's last EHLO reply had the keyword.
func (s *Session) offers(keyword string) bool {
	_, ok := s.offered[keyword]
	return ok
}

// parseExtensions reads the lines of an EHLO reply after the first. It returns the
// arguments of each keyword, by the keyword in upper case. A "=" ends a keyword (RFC
// 5321 section 4.1.1.1), because old servers write "AUTH=LOGIN", often in addition to
// the correct form, and some write "SIZE=99".
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
		if earlier, ok := m[keyword]; ok && keyword == "AUTH" {
			args = earlier + " " + args
		}
		m[keyword] = strings.TrimSpace(args)
	}
	return m
}

// mechanisms returns the SASL mechanisms that the server offers, sorted, in upper case.
func (s *Session) mechanisms() []string {
	names := strings.FieldsFunc(strings.ToUpper(s.offered["AUTH"]), func(r rune) bool { return r == ' ' || r == ',' })
	slices.Sort(names)
	return slices.Compact(names)
}
