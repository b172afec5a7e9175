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

// Bounds of a reply. RFC 5321 section 4.5.3.1.5 allows 512 octets in a line; real servers
// exceed that.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
	maxReply      = 64 << 10
	maxShown      = 1000 // octets of a reply in an error, for the log and for notices
	maxBrief      = 500  // octets of a reply that are shown to a person
)

// A Reply is the server's reply to one command (RFC 5321 section 4.2).
type Reply struct {
	Code      int
	Status    status.Code // the server's enhanced code if its class is that of Code, else the class and .0.0
	Lines     []string    // the text of each line, without both codes; control characters are replaced
	hasStatus bool        // Status is the server's
}

// Class returns the first digit of Code, which decides whether the reply is a refusal
// (RFC 5321 section 4.2.1).
func (r Reply) Class() int { return r.Code / 100 }

// String returns the reply on one line of at most maxShown octets: a longer reply loses
// its middle.
func (r Reply) String() string {
	s := strconv.Itoa(r.Code)
	if r.hasStatus {
		s += " " + r.Status.String()
	}
	for _, l := range r.Lines {
		if l != "" {
			s += " " + l
		}
	}
	return status.Clip(s, maxShown)
}

// kind returns what the refusal r in phase p means: a fault of the account, or else
// ownKind.
func (r Reply) kind(p phase) status.Kind {
	switch {
	case r.Code == 530 || r.Code == 534 || r.Code == 535 || r.Code == 538:
		return status.AuthFailed
	case r.limited(p):
		return status.Limited
	}
	return r.ownKind(p)
}

// ownKind returns what the refusal r in phase p means if it is about the message or the
// recipient (RFC 3463, RFC 5321 section 4.2.2). The enhanced code counts more than the
// basic code.
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

// badSender reports whether the enhanced code of r says that the sender's address is
// invalid (RFC 3463 section 3.2).
func (r Reply) badSender() bool {
	return r.Status.Subject == 1 && (r.Status.Detail == 7 || r.Status.Detail == 8)
}

// senderWords are words, in lower case, with which servers refuse a sender.
var senderWords = [...]string{
	"<>", "sender", "send as", "sendas", "mail from", "from address", "envelope from", "return path", "return-path",
	"reverse path", "reverse-path", "originator", "bounce", "null", "identit",
}

// refusesSender reports whether r, in phase p, refuses the sender for good, so that
// another sender may be accepted. At MAIL the server knows only the sender. At RCPT many
// servers refuse the sender, not always in words that say so. In reply to the message only
// the words show that the sender is the reason.
func (r Reply) refusesSender(p phase) bool {
	k := r.kind(p)
	if r.Class() != 5 || k.Scope() == status.Account || k == status.Deferred || k == status.TooBig {
		return false
	}
	return p == mail || r.badSender() ||
		p == rcpt && (k == status.NotAllowed || k == status.Refused && r.Status.Subject == 0) ||
		r.says(senderWords[:]...)
}

// says reports whether the text of r contains one of phrases, which are in lower case.
func (r Reply) says(phrases ...string) bool {
	text := strings.ToLower(strings.Join(r.Lines, " "))
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(text, p) })
}

// tooMany reports whether r refuses a recipient only because the transaction has too many
// (RFC 5321 section 4.5.3.1.10).
func (r Reply) tooMany() bool {
	if r.hasStatus {
		return r.Status.Subject == 5 && r.Status.Detail == 3
	}
	return r.Code == 452 || r.Code == 552
}

// failure returns err, of the refusal r, with the kind k and the status of r.
func (r Reply) failure(k status.Kind, err error) error {
	c := r.Status
	if k.Scope() == status.Account || k == status.Deferred {
		c.Class = 4 // these kinds are retried, even after a 5yz reply (such as 552, RFC 5321 section 4.5.3.1.10)
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

// Whole returns the text of the reply, of any length.
func (r *Refusal) Whole() string { return strings.Join(r.Reply.Lines, " ") }

// Brief returns the text of err for a person, with a long reply cut to maxBrief octets.
func Brief(err error) string {
	text := err.Error()
	if refusal := new(Refusal); errors.As(err, &refusal) {
		reply := refusal.Reply.String()
		text = strings.Replace(text, reply, status.Clip(reply, maxBrief), 1)
	}
	return text
}

// errGarbage says that the server sent something that is no acceptable reply.
var errGarbage = errors.New("the answer is not SMTP")

// readReply reads one reply. It fails if two lines have different codes, or the reply
// exceeds the bounds above. hide masks secrets in a text. trace gets each line as soon as
// it comes, so that a person also sees the lines of a broken reply.
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

// add appends the text of a line without its enhanced code. An enhanced code counts only
// if its class is the class of the reply, as in Postfix.
func (r *Reply) add(text string) {
	c, rest, ok := status.ParseCode(text)
	if len(r.Lines) == 0 {
		r.Status = status.Code{Class: uint16(r.Class())}
		if r.hasStatus = ok && int(c.Class) == r.Class(); r.hasStatus {
			r.Status = c
		}
	}
	if r.hasStatus && ok && c == r.Status {
		text = rest
	}
	r.Lines = append(r.Lines, text)
}

// splitReply splits "250-text", "250 text" or "250" behind the code with its "-" or
// space. For any other line ok is false, and text is the line.
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

// readLine reads up to LF, and returns the line without LF or CRLF. It accepts a bare LF,
// as every client does: in a reply that does no harm.
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
