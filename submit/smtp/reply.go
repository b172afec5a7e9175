package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"sendoff/submit/status"
)

// Bounds on what a server may say in one reply. RFC 5321 section 4.5.3.1.5
// allows 512 octets a line; real servers exceed it.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
	maxReply      = 64 << 10
	maxShown      = 1000 // octets of a reply in an error, for the log and for notices
	maxBrief      = 500  // octets of a reply that are shown to a person
)

// A Reply is what the server answered to one command (RFC 5321 section 4.2).
type Reply struct {
	Code   int
	Status status.Code // the server's if it agrees with Code, else the class of Code and .0.0
	Lines  []string    // without code and enhanced code; control characters replaced
	said   bool        // the server gave Status
}

// Class returns the first digit of the code, which alone decides (RFC 5321
// section 4.2.1).
func (r Reply) Class() int { return r.Code / 100 }

// String returns the reply on one line, with its end where it is very long.
func (r Reply) String() string {
	s := strconv.Itoa(r.Code)
	if r.said {
		s += " " + r.Status.String()
	}
	for _, l := range r.Lines {
		if l != "" {
			s += " " + l
		}
	}
	return status.Clip(s, maxShown)
}

// kind says what a refusal in phase p means: a fault of the account, or the
// message's own.
func (r Reply) kind(p phase) status.Kind {
	switch {
	case r.Code == 530 || r.Code == 534 || r.Code == 535 || r.Code == 538:
		return status.AuthFailed
	case r.limited(p):
		return status.Limited
	}
	return r.ownKind(p)
}

// ownKind says what a refusal in phase p means for the message or the recipient
// (RFC 3463, RFC 5321 section 4.2.2). The enhanced code decides before the basic
// one.
func (r Reply) ownKind(p phase) status.Kind {
	c := r.Status
	switch {
	case c.Temporary(), c.Subject == 4 && c.Detail == 5, r.Code == 552 && p == rcpt:
		return status.Deferred
	case c.Subject == 3 && c.Detail == 4, c.Subject == 2 && c.Detail == 3, c.Subject == 0 && r.Code == 552:
		return status.TooBig
	case c.Subject == 7, r.badSender():
		return status.NotAllowed
	case c.Subject == 1:
		return status.NoUser
	case p == rcpt && c.Subject == 0 && (r.Code == 550 || r.Code == 551 || r.Code == 553):
		return status.NoUser
	}
	return status.Refused
}

// badSender reports whether r says by its code that the sender's address is no
// good (RFC 3463 section 3.2).
func (r Reply) badSender() bool {
	return r.Status.Subject == 1 && (r.Status.Detail == 7 || r.Status.Detail == 8)
}

// senderWords are what servers say of a sender that they refuse, in lower case.
var senderWords = [...]string{
	"<>", "sender", "send as", "sendas", "mail from", "from address", "envelope from", "return path", "return-path",
	"reverse path", "reverse-path", "originator", "bounce", "null", "identit",
}

// refusesSender reports whether r, in phase p, refuses the sender for good, so
// that another one may do. Nothing but the sender is known at MAIL. At RCPT many
// servers say first what they think of a sender, and not always in words; after
// the message only words tell it from what else may be wrong.
func (r Reply) refusesSender(p phase) bool {
	k := r.kind(p)
	if r.Class() != 5 || k.Scope() == status.Account || k == status.Deferred || k == status.TooBig {
		return false
	}
	return p == mail || r.badSender() ||
		p == rcpt && (k == status.NotAllowed || k == status.Refused && r.Status.Subject == 0) ||
		r.says(senderWords[:]...)
}

// says reports whether the text of r has one of phrases, which are in lower case.
func (r Reply) says(phrases ...string) bool {
	text := strings.ToLower(strings.Join(r.Lines, " "))
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(text, p) })
}

// tooMany reports whether r refuses a recipient only because the transaction
// has enough of them (RFC 5321 section 4.5.3.1.10).
func (r Reply) tooMany() bool {
	if r.said {
		return r.Status.Subject == 5 && r.Status.Detail == 3
	}
	return r.Code == 452 || r.Code == 552
}

// failure is the error of a refusal that means k.
func (r Reply) failure(k status.Kind, err error) error {
	c := r.Status
	if k.Scope() == status.Account || k == status.Deferred {
		c.Class = 4 // RFC 5321 section 4.5.3.1.10 and the like: worth another try, whatever the class
	}
	if k == status.NoUser && c.Subject == 0 {
		c = k.Code()
	}
	return k.With(c, err)
}

// A Refusal is a command that the server answered with 4yz or 5yz.
type Refusal struct {
	Command string // without parameters
	Reply   Reply
	Host    string
	phase   phase
}

// Error returns the command, the server's words, and the server.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: %s (%s)", r.Command, r.Reply, r.Host)
}

// Whole returns all that the server has said, however long it is.
func (r *Refusal) Whole() string { return strings.Join(r.Reply.Lines, " ") }

// Brief is what err says to a person: less of a long reply than goes into the log.
func Brief(err error) string {
	text := err.Error()
	if refusal := new(Refusal); errors.As(err, &refusal) {
		reply := refusal.Reply.String()
		text = strings.Replace(text, reply, status.Clip(reply, maxBrief), 1)
	}
	return text
}

// errGarbage is a reply that is none.
var errGarbage = errors.New("the answer is not SMTP")

// readReply reads one reply, strictly: every line has the same code, and the
// bounds above hold. hide replaces what must not be shown. Each line is given
// to trace as it comes, so that a person sees what a broken server said.
func readReply(r *bufio.Reader, hide func(string) string, trace func(string)) (Reply, error) {
	var reply Reply
	for n, total := 1, 0; ; n++ {
		raw, err := readLine(r)
		if err != nil {
			return Reply{}, err
		}
		head, text, ok := splitReply(raw)
		text = hide(status.Printable(text))
		trace(head + text)
		total += len(raw)
		switch {
		case !ok:
			return Reply{}, fmt.Errorf("%w: %q", errGarbage, status.Clip(head+text, maxBrief))
		case n > maxReplyLines || total > maxReply:
			return Reply{}, fmt.Errorf("%w: a reply of more than %d lines or %d octets", errGarbage, maxReplyLines, maxReply)
		case n > 1 && head[:3] != strconv.Itoa(reply.Code):
			return Reply{}, fmt.Errorf("%w: a line of %s in a reply of %d", errGarbage, head[:3], reply.Code)
		}
		reply.Code, _ = strconv.Atoi(head[:3])
		reply.add(text)
		if !strings.HasSuffix(head, "-") {
			return reply, nil
		}
	}
}

// add appends the text of a line, and takes the enhanced code off it. The code
// counts only if its class is the reply's, as in Postfix.
func (r *Reply) add(text string) {
	c, rest, ok := status.ParseCode(text)
	if len(r.Lines) == 0 {
		r.Status = status.Code{Class: uint16(r.Class())}
		if r.said = ok && int(c.Class) == r.Class(); r.said {
			r.Status = c
		}
	}
	if r.said && ok && c == r.Status {
		text = rest
	}
	r.Lines = append(r.Lines, text)
}

// splitReply splits "250-text", "250 text" or "250" behind the code and its
// mark. What is none of these is all text.
func splitReply(line string) (head, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return "", line, false
	}
	if len(line) == 3 {
		return line, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return "", line, false
	}
	return line[:4], line[4:], true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// readLine reads up to LF and returns the line without its end. A bare LF is
// taken for one, as every client does; it cannot be confused with anything.
func readLine(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of more than %d octets", errGarbage, maxReplyLine)
	}
	if err != nil {
		if len(b) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return "", err
	}
	return strings.TrimSuffix(string(b[:len(b)-1]), "\r"), nil
}
