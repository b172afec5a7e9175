package smtpd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/envelope"
	"sendoff/submit/status"
)

// A command is an SMTP command that the server knows.
type command struct {
	verb string
	args argument
	auth bool // with RequireAuth, refused before a login (RFC 4954 section 6)
	do   func(s *session, args string)
}

// An argument says whether a command has arguments.
type argument uint8

const (
	optional argument = iota
	forbidden
	required
)

var commands = [...]command{
	{"EHLO", required, false, (*session).ehlo},
	{"HELO", required, false, (*session).helo},
	{"MAIL", required, true, (*session).mailFrom},
	{"RCPT", required, true, (*session).rcptTo},
	{"DATA", forbidden, true, (*session).data},
	{"RSET", forbidden, false, (*session).rset},
	{"NOOP", optional, false, func(s *session, _ string) { s.reply(250, "2.0.0", "ok") }},
	{"VRFY", required, true, func(s *session, _ string) { s.reply(252, "2.1.5", "send it and see") }},
	{"QUIT", forbidden, false, func(s *session, _ string) { s.end(221, "2.0.0", "bye", nil) }},
	{"AUTH", required, false, (*session).auth},
}

// httpMethods are the methods of HTTP. A web page can make a browser send a request with
// SMTP commands in its body to this server: the method shows the attack.
var httpMethods = [...]string{"GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE", "CONNECT", "TRACE"}

// obey carries out one command line.
func (s *session) obey(line string) {
	verb, args, _ := strings.Cut(strings.TrimRight(line, " \t"), " ")
	verb, args = strings.ToUpper(verb), strings.TrimLeft(args, " \t")
	if slices.Contains(httpMethods[:], verb) {
		s.end(421, "4.7.0", "this is not a web server", errors.New("client speaks HTTP"))
		return
	}
	before := s.errors
	i := slices.IndexFunc(commands[:], func(c command) bool { return c.verb == verb })
	switch {
	case i < 0 && s.junk: // a line of the message that DATA refused; the next line may look like a command
		s.end(421, "4.5.0", "a message came where none was asked for", errors.New("client did not heed the reply to DATA"))
	case i < 0:
		s.fault(500, "5.5.1", "unknown command")
	case commands[i].args == forbidden && args != "":
		s.fault(501, "5.5.4", verb+" takes no argument")
	case commands[i].args == required && args == "":
		s.fault(501, "5.5.4", verb+" needs an argument")
	case commands[i].auth && s.RequireAuth && s.client.User == "":
		s.fault(530, "5.7.0", "log in first")
	default:
		commands[i].do(s, args)
	}
	s.junk = verb == "DATA" && s.errors > before
	// If DATA was refused, and the client has not waited for the reply (as RFC 2920
	// section 3.1 requires), the next lines are a message, and must not be obeyed.
	if s.junk && s.in.Buffered() > 0 && !s.over {
		s.end(421, "4.5.0", "a message came where none was asked for", errors.New("client did not wait for the reply to DATA"))
	}
}

func (s *session) ehlo(string) {
	s.greeted(true)
	text := s.hostname()
	for _, x := range extensions {
		if param, ok := x.offer(s); ok {
			text += "\n" + strings.TrimSpace(x.keyword+" "+param)
		}
	}
	s.reply(250, "", text)
}

func (s *session) helo(string) {
	s.greeted(false)
	s.reply(250, "", s.hostname())
}

func (s *session) greeted(extended bool) {
	s.hello, s.client.Extended, s.mail = true, extended, nil
}

func (s *session) rset(string) {
	s.mail = nil
	s.reply(250, "2.0.0", "ok")
}

func (s *session) mailFrom(args string) {
	switch {
	case !s.hello:
		s.fault(503, "5.5.1", "say EHLO first")
		return
	case s.mail != nil:
		s.fault(503, "5.5.1", "a mail transaction is open; RSET ends it")
		return
	}
	path, params, err := s.path(args, "FROM:")
	if err != nil {
		s.fault(501, "5.1.7", err.Error())
		return
	}
	e := &envelope.Envelope{From: path}
	if !s.parameters(params, func(x extension) []parameter { return x.mail }, e) {
		return
	}
	switch {
	case e.From.UTF8() && !e.UTF8:
		s.fault(553, "5.6.7", "the address needs SMTPUTF8")
	case s.MaxSize > 0 && e.Size > s.MaxSize:
		s.reply(552, "5.3.4", fmt.Sprintf("the limit is %d octets", s.MaxSize))
	case e.From.Domain() == "" && !e.From.IsNull() && !s.AllowUnqualified:
		s.fault(553, "5.1.7", "the address has no domain")
	default:
		s.mail, s.octets = e, 0
		s.reply(250, "2.1.0", "ok")
	}
}

func (s *session) rcptTo(args string) {
	if s.mail == nil {
		s.fault(503, "5.5.1", "say MAIL first")
		return
	}
	path, params, err := s.path(args, "TO:")
	if err != nil {
		s.fault(501, "5.1.3", err.Error())
		return
	}
	// A parameter of RCPT belongs to the envelope's last recipient.
	e := &envelope.Envelope{To: []envelope.Recipient{{Address: path}}, UTF8: s.mail.UTF8}
	if !s.parameters(params, func(x extension) []parameter { return x.rcpt }, e) {
		return
	}
	bare := path.Domain() == "" && !strings.EqualFold(path.Local(), "postmaster")
	switch {
	case path.IsNull():
		s.fault(501, "5.1.3", "a recipient must have an address")
	case path.UTF8() && !s.mail.UTF8:
		s.fault(553, "5.6.7", "the address needs SMTPUTF8")
	case bare && !s.AllowUnqualified:
		s.fault(553, "5.1.3", "the address has no domain")
	case s.hasEnough(args):
		s.reply(452, "4.5.3", "too many recipients; send the rest in another mail")
	default:
		s.mail.To = append(s.mail.To, e.To[0])
		s.octets += len(args)
		s.reply(250, "2.1.5", "ok")
	}
}

// perRecipient limits the average octets of the arguments of RCPT, because they are kept
// in memory until the end of the transaction.
const perRecipient = 256

// hasEnough reports whether the mail may not have another recipient, whose RCPT has the
// arguments args.
func (s *session) hasEnough(args string) bool {
	most, n := cmp.Or(s.MaxRecipients, defaultRecipients), len(s.mail.To)
	return n >= most || n > 0 && s.octets+len(args) > most*perRecipient
}

func (s *session) data(string) {
	switch {
	case s.mail == nil:
		s.fault(503, "5.5.1", "say MAIL first")
		return
	case len(s.mail.To) == 0:
		s.fault(554, "5.5.1", "no valid recipients")
		return
	}
	s.reply(354, "", "end with a dot on a line by itself")
	m := &message{session: s, begin: true}
	e := s.mail
	s.mail = nil
	err := s.Handle(s.ctx, s.client, e, m)
	m.skip()
	switch {
	case m.broken != nil:
		s.broke(m.broken)
		if s.err == nil {
			s.err = errors.New("connection broke in the middle of a message")
		}
	case m.bad != nil:
		s.refuse(m.bad, 550)
	case err != nil:
		s.refuse(err, 554)
	default:
		s.reply(250, "2.0.0", "ok")
	}
}

// refuse replies with the status and the text of err. permanent is the reply code of a
// permanent failure, except for enhanced codes that require another one (RFC 5248).
func (s *session) refuse(err error, permanent int) {
	enhanced, code := status.Of(err), permanent
	if enhanced.Class != 5 {
		enhanced.Class, code = 4, 451
	}
	switch enhanced.String() {
	case "4.2.2", "4.3.1", "4.5.3":
		code = 452
	case "5.1.1":
		code = 550
	case "5.1.3":
		code = 501
	case "5.2.2", "5.3.4":
		code = 552
	case "5.6.7":
		code = 553
	}
	s.reply(code, enhanced.String(), printable(err.Error()))
}

// printable returns text in ASCII, cut to fit a line of a reply (RFC 5321 section
// 4.5.3.1.5).
func printable(text string) string {
	const limit = 400
	return status.ASCII(status.Clip(text, limit))
}
