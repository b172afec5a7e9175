package rehearse

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

// A sending is a message as it would be sent, and to whom.
type sending struct {
	account *config.Account
	message *message.Message
	to      []submit.Recipient
	utf8    bool // it needs SMTPUTF8
	size    int64
	lines   lineMeter
	authors []message.Mailbox
}

// maxLine is how many octets a line may have (RFC 5322 section 2.1.1).
const maxLine = 998

// refusals is the table of what large providers refuse. A check returns a line for a person,
// with the remedy; "": no provider is known to refuse the message for that. Only what is
// true of the message as it would be sent counts: sendoff adds and corrects much itself. A
// new check is a row here.
var refusals = [...]func(*sending) string{
	func(s *sending) string {
		if n := len(s.message.Values("From")); n > 1 {
			return fmt.Sprintf("there are %d fields From, and servers accept one: leave one, then sign the message", n)
		}
		if n := len(s.authors); n > 1 {
			return fmt.Sprintf("From has %d addresses, and Gmail accepts one: put the others into Reply-To", n)
		}
		return ""
	},
	func(s *sending) string {
		if a := s.author(); isPrivate(a.Domain()) {
			return fmt.Sprintf("From is %s, which exists only in your network: use a public address", a)
		}
		return ""
	},
	func(s *sending) string {
		own, ok := s.account.Address()
		if a := s.author(); ok && !isPrivate(a.Domain()) && !s.isAligned(own, a.Domain()) {
			return fmt.Sprintf("From is at %s, but the account is at %s (DMARC): use an account of that sender, or set force-sender", a.Domain(), own.Domain())
		}
		return ""
	},
	func(s *sending) string {
		if len(s.message.Values("To"))+len(s.message.Values("Cc")) == 0 {
			return fmt.Sprintf("there is no To or Cc, as in spam: add To: %s, or To: undisclosed-recipients:;", s.to[0].Address)
		}
		return ""
	},
	func(s *sending) string {
		id := s.message.MessageID()
		if left, right, ok := strings.Cut(strings.Trim(id, "<>"), "@"); !ok || left == "" || right == "" || id[0] != '<' || strings.ContainsAny(id, " \t") {
			return fmt.Sprintf("Message-ID is %s, and Gmail accepts only <ID@DOMAIN>: leave the field out", status.Line(id, 30))
		}
		return ""
	},
	func(s *sending) string {
		if s.utf8 {
			return "an address is not ASCII, and many servers lack SMTPUTF8: use an address in ASCII"
		}
		if s.lines.bare {
			return "the header is not ASCII, which Gmail refuses: encode it, then sign the message"
		}
		return ""
	},
	func(s *sending) string {
		if s.lines.longest > maxLine {
			return fmt.Sprintf("a line has %d octets, and servers accept %d: break the line, then sign the message", s.lines.longest, maxLine)
		}
		return ""
	},
	func(s *sending) string {
		switch size := status.Size(s.size); {
		case s.size > 35<<20:
			return fmt.Sprintf("the message has %s, and Gmail and Microsoft accept 35 MB: send a link to the file", size)
		case s.size > 25<<20:
			return fmt.Sprintf("the message has %s, and many providers accept 25 MB: send a link to the file", size)
		}
		return ""
	},
	func(s *sending) string {
		names := s.message.FileNames()
		i := slices.IndexFunc(names, isExecutable)
		if i < 0 {
			return ""
		}
		return fmt.Sprintf("Gmail and Outlook refuse the file %s, also in an archive: send a link to it", status.Line(names[i], 30))
	},
	func(s *sending) string {
		switch n := len(s.to); {
		case n > 500:
			return fmt.Sprintf("there are %d recipients, and Gmail accepts 500 a day: use a provider for bulk mail", n)
		case n > 100 && s.account.MaxRecipients > 100:
			return fmt.Sprintf("there are %d recipients, and Gmail accepts 100 at once: set max-recipients = 100", n)
		}
		return ""
	},
}

// author returns the address in From; the null address if there is none.
func (s *sending) author() envelope.Address {
	if len(s.authors) == 0 {
		return envelope.Address{}
	}
	return s.authors[0].Address
}

// isAligned reports whether an author in domain may send by the account, whose own address
// is own: relaxed alignment (RFC 7489 section 3.1) is enough.
func (s *sending) isAligned(own envelope.Address, domain string) bool {
	a, b := "."+strings.ToLower(own.Domain()), "."+strings.ToLower(domain)
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a) ||
		slices.ContainsFunc(s.account.From, func(p config.Pattern) bool { return p.HasDomain(domain) })
}

// private are the ends of domains that exist only in one network.
const private = " .local .localdomain .localhost .internal .lan .home .invalid .test "

// isPrivate reports whether a domain cannot be known outside one network.
func isPrivate(domain string) bool {
	if domain == "" || domain[0] == '[' {
		return false
	}
	end := strings.ToLower(path.Ext(domain))
	return end == "" || strings.Contains(private, " "+end+" ")
}

// executables are the ends of names of files that Gmail refuses.
const executables = " .ade .adp .apk .appx .bat .cab .chm .cmd .com .cpl .dll .dmg .exe .hta .iso .jar .js .jse .lib .lnk " +
	".mde .msc .msi .msix .msp .mst .pif .ps1 .scr .sct .sys .vb .vbe .vbs .vhd .vxd .wsc .wsf .wsh .xll "

func isExecutable(name string) bool {
	end := strings.ToLower(path.Ext(name))
	return end != "" && strings.Contains(executables, " "+end+" ")
}

// refused returns a line for each thing that large providers refuse about the message of j.
func refused(j *submit.Job, a *config.Account) ([]string, error) {
	content, size, err := j.Message.Open(envelope.Form{EightBit: true, UTF8: true})
	if err != nil {
		return nil, err
	}
	s := &sending{account: a, message: j.Message, to: j.To, utf8: j.Envelope.UTF8, size: size}
	if _, err := io.Copy(&s.lines, content); err != nil || len(s.to) == 0 {
		return nil, err
	}
	return s.refusals(), nil
}

func (s *sending) refusals() (lines []string) {
	for _, text := range s.message.Values("From") {
		list, _ := message.ParseAddressList(text)
		s.authors = append(s.authors, list...)
	}
	for _, check := range refusals {
		if line := check(s); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// A lineMeter looks at the lines that are written to it.
type lineMeter struct {
	longest int
	bare    bool // there was a line of the header that is not ASCII

	length int // of the current line, without CR
	body   bool
}

func (m *lineMeter) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			m.body = m.body || m.length == 0
			m.length = 0
		case c != '\r':
			m.length++
			m.longest = max(m.longest, m.length)
			m.bare = m.bare || !m.body && c >= 0x80
		}
	}
	return len(p), nil
}
