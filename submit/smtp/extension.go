package smtp

import (
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// An extension is what we know of one keyword of EHLO.
type extension struct {
	keyword string
	mail    func(e *envelope.Envelope, arg string) (param string, err error) // added to MAIL FROM
	rcpt    func(r *envelope.Recipient) (param string)                       // added to RCPT TO
}

// extensions adds the parameters that the envelope wants and the server
// offers. Other keywords (PIPELINING, AUTH, STARTTLS) change the session, not
// the envelope.
var extensions = []extension{
	{"SIZE", mailSize, nil},           // RFC 1870
	{"8BITMIME", mailBody, nil},       // RFC 6152
	{"SMTPUTF8", mailUTF8, nil},       // RFC 6531
	{"DSN", mailNotices, rcptNotices}, // RFC 3461
}

func mailSize(e *envelope.Envelope, arg string) (string, error) {
	if e.Size == 0 {
		return "", nil
	}
	var limit int64
	if n, _ := fmt.Sscan(arg, &limit); n == 1 && limit > 0 && e.Size > limit {
		return "", status.TooBig.Errorf("the message has %d octets, the server takes %d", e.Size, limit)
	}
	return fmt.Sprintf("SIZE=%d", e.Size), nil
}

func mailBody(e *envelope.Envelope, _ string) (string, error) {
	if e.Body == envelope.BodyUnset {
		return "", nil
	}
	return "BODY=" + e.Body.String(), nil
}

func mailUTF8(e *envelope.Envelope, _ string) (string, error) {
	if !e.UTF8 {
		return "", nil
	}
	return "SMTPUTF8", nil
}

func mailNotices(e *envelope.Envelope, _ string) (string, error) {
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
	if e.From.UTF8() && !s.offers("SMTPUTF8") {
		return "", status.NotAllowed.With(status.Code{Class: 5, Subject: 6, Detail: 7},
			fmt.Errorf("MAIL FROM:<%s>: the server does not take addresses with UTF-8 (SMTPUTF8)", e.From))
	}
	command := "MAIL FROM:<" + e.From.String() + ">"
	for _, x := range extensions {
		if x.mail == nil || !s.offers(x.keyword) {
			continue
		}
		param, err := x.mail(e, s.offered[x.keyword])
		if err != nil {
			return "", err
		}
		if param != "" {
			command += " " + param
		}
	}
	return command, nil
}

// rcptCommand is the RCPT command for r.
func (s *Session) rcptCommand(r *envelope.Recipient) (string, error) {
	command := "RCPT TO:<" + r.Address.String() + ">"
	if r.Address.UTF8() && !s.offers("SMTPUTF8") {
		return "", status.NotAllowed.With(status.Code{Class: 5, Subject: 6, Detail: 7},
			fmt.Errorf("%s: the server does not take addresses with UTF-8 (SMTPUTF8)", command))
	}
	for _, x := range extensions {
		if x.rcpt == nil || !s.offers(x.keyword) {
			continue
		}
		if param := x.rcpt(r); param != "" {
			command += " " + param
		}
	}
	return command, nil
}

// offers reports whether the server's last EHLO reply had the keyword.
func (s *Session) offers(keyword string) bool {
	_, ok := s.offered[keyword]
	return ok
}

// parseExtensions reads the lines of an EHLO reply after the first. Keywords
// are kept in upper case; "AUTH=LOGIN", the form of old servers, is read as
// "AUTH LOGIN" where the right one is missing.
func parseExtensions(lines []string) map[string]string {
	m := make(map[string]string)
	for _, line := range lines {
		keyword, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		keyword = strings.ToUpper(keyword)
		if old, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			args = strings.TrimSpace(old + " " + args)
			keyword = "AUTH"
		}
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
	names := strings.Fields(strings.ToUpper(s.offered["AUTH"]))
	slices.Sort(names)
	return slices.Compact(names)
}
