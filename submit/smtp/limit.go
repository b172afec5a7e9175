package smtp

import (
	"errors"
	"strings"

	"sendoff/submit/status"
)

// steps is a set of phases from MAIL on.
type steps uint16

func stepsOf(phases ...phase) (s steps) {
	for _, p := range phases {
		s |= 1 << p
	}
	return s
}

func (s steps) has(p phase) bool { return s&(1<<p) != 0 }

// Steps at which a server speaks of limits.
var (
	anyStep      = stepsOf(mail, rcpt, data, dot)
	notRecipient = stepsOf(mail, data, dot) // where no reply is about a recipient
)

// limits is the table of limits in permanent words: a provider that has taken as
// much of an account as it takes in a day or an hour says so as if the message
// were refused for good. Each phrase is what one provider says of that and of
// nothing else: a mailbox over quota is its owner's affair, and the recipient's
// fault. A code of zero is a reply without an enhanced code.
var limits = [...]struct {
	provider string
	steps    steps
	code     status.Code
	phrase   string
}{
	{"Exchange Online", notRecipient, status.Code{Class: 5, Subject: 2, Detail: 0}, "SubmissionQuotaExceeded"},
	{"Exchange Online", anyStep, status.Code{Class: 5, Subject: 1, Detail: 90}, "reached your daily limit for message recipients"},
	{"Exchange Online", anyStep, status.Code{Class: 5, Subject: 7, Detail: 232}, "exceeded its daily limit for sending email to external recipients"},
	{"Exchange Online", anyStep, status.Code{Class: 5, Subject: 7, Detail: 233}, "exceeded its daily limit for sending email to external recipients"},
	{"Exchange Online", anyStep, status.Code{Class: 5, Subject: 7, Detail: 705}, "tenant has exceeded threshold"},
	{"Gmail", anyStep, status.Code{Class: 5, Subject: 4, Detail: 5}, "Daily user sending limit exceeded"},
	{"Gmail", anyStep, status.Code{Class: 5, Subject: 4, Detail: 5}, "Daily user sending quota exceeded"},
	{"Gmail", anyStep, status.Code{Class: 5, Subject: 4, Detail: 5}, "Daily sending quota exceeded"},
	{"Google Workspace", anyStep, status.Code{Class: 5, Subject: 4, Detail: 5}, "Daily SMTP relay sending limit exceeded"},
	{"Google Workspace", anyStep, status.Code{Class: 5, Subject: 7, Detail: 1}, "Daily SMTP relay sending limit exceeded"},
	{"Google Workspace", anyStep, status.Code{Class: 5, Subject: 7, Detail: 1}, "Daily SMTP relay limit exceeded"},
	{"Zoho", anyStep, status.Code{Class: 5, Subject: 4, Detail: 6}, "Unusual sending activity detected"},
	{"GoDaddy", anyStep, status.Code{}, "has exceeded its 24-hour sending limit"},
	{"GoDaddy", anyStep, status.Code{Class: 5, Subject: 7, Detail: 1}, "has exceeded its 24-hour sending limit"},
	{"cPanel", anyStep, status.Code{}, "has exceeded the max emails per hour"},
	{"cPanel", anyStep, status.Code{}, "has exceeded the max defers and failures per hour"},
}

// rates are words about how much an account sends, and aboutRecipient those which
// say that a recipient gets too much, unless aboutSender names the sender.
var (
	rates = [...]string{"rate limit", "ratelimit", "rate-limit", "message rate", "sending rate", "sender rate",
		"too much mail from", "too many messages from", "too many recipients from", "sent too many", "sending too many",
		"sending limit", "send limit", "sending quota", "sender quota", "messages per hour", "emails per hour", "throttling failure"}
	aboutRecipient = [...]string{"recipient", "receiving", "mailbox", "user you are trying to"}
	aboutSender    = [...]string{"sender", "sending", "from ", "you have", "you've", "your "}
)

// namesRate reports whether r says that the sender sends too much.
func (r Reply) namesRate() bool {
	text := strings.ToLower(strings.Join(r.Lines, " "))
	return hasAny(text, rates[:]) && (!hasAny(text, aboutRecipient[:]) || hasAny(text, aboutSender[:]))
}

func hasAny(text string, phrases []string) bool {
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// limited reports whether r says in phase p that the server takes no more of the
// account's mail for now, whatever the message:
//
//	421             at any step: the server leaves
//	4.7.z 4.3.2     to MAIL, DATA and the message; to RCPT it is greylisting, or
//	4.4.5           another reason of the recipient's
//	other 4yz       if the words name the sender's rate
//	5yz             only what the table says
func (r Reply) limited(p phase) bool {
	c := r.Status
	switch {
	case !anyStep.has(p):
		return false
	case r.Code == 421:
		return true
	case !c.Temporary():
		return r.namedLimit(p)
	case r.namesRate():
		return true
	}
	return notRecipient.has(p) && (c.Subject == 7 || c.Subject == 3 && c.Detail == 2 || c.Subject == 4 && c.Detail == 5)
}

// namedLimit reports whether r is what a row of the table says.
func (r Reply) namedLimit(p phase) bool {
	code := r.Status
	if !r.said {
		code = status.Code{}
	}
	text := strings.ToLower(strings.Join(r.Lines, " "))
	for _, row := range limits {
		if row.steps.has(p) && row.code == code && strings.Contains(text, strings.ToLower(row.phrase)) {
			return true
		}
	}
	return false
}

// MayBeVerdict reports whether a refusal that counts as a limit may as well be a verdict
// on the message: it came after that, and in no words of a limit's.
func MayBeVerdict(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.phase == dot && r.Reply.Code != 421 && r.Reply.Class() == 4 && !r.Reply.namesRate()
}

// AboutMessage returns what a refusal that counts as a limit would be if it were about the
// message, because others pass. Any other error is returned as it is.
func AboutMessage(err error) error {
	var r *Refusal
	if status.KindOf(err) != status.Limited || !errors.As(err, &r) {
		return err
	}
	return r.Reply.failureAs(r.Reply.ownKind(r.phase), err)
}
