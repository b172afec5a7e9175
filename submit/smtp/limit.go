package smtp

import (
	"errors"

	"sendoff/submit/status"
)

// limits is the table of limits in permanent words: a provider that has taken as
// much of an account as it takes in a day or an hour says so as if the message
// were refused for good. Each phrase is what one provider says of that and of
// nothing else: a mailbox over quota is its owner's affair, and the recipient's
// fault. A phrase is in lower case, and "" is a reply without an enhanced code.
var limits = [...]struct {
	enhanced, phrase string
	atRcpt           bool // said at RCPT, too
}{
	{"5.2.0", "submissionquotaexceeded", false},                                            // Exchange Online
	{"5.1.90", "reached your daily limit for message recipients", true},                    // Exchange Online
	{"5.7.232", "exceeded its daily limit for sending email to external recipients", true}, // Exchange Online
	{"5.7.233", "exceeded its daily limit for sending email to external recipients", true}, // Exchange Online
	{"5.7.705", "tenant has exceeded threshold", true},                                     // Exchange Online
	{"5.4.5", "daily user sending limit exceeded", true},                                   // Gmail
	{"5.4.5", "daily user sending quota exceeded", true},                                   // Gmail
	{"5.4.5", "daily sending quota exceeded", true},                                        // Gmail
	{"5.4.5", "daily smtp relay sending limit exceeded", true},                             // Google Workspace
	{"5.7.1", "daily smtp relay sending limit exceeded", true},                             // Google Workspace
	{"5.7.1", "daily smtp relay limit exceeded", true},                                     // Google Workspace
	{"5.4.6", "unusual sending activity detected", true},                                   // Zoho
	{"", "has exceeded its 24-hour sending limit", true},                                   // GoDaddy
	{"5.7.1", "has exceeded its 24-hour sending limit", true},                              // GoDaddy
	{"", "has exceeded the max emails per hour", true},                                     // cPanel
	{"", "has exceeded the max defers and failures per hour", true},                        // cPanel
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
	return r.says(rates[:]...) && (!r.says(aboutRecipient[:]...) || r.says(aboutSender[:]...))
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
	case p == reset:
		return false
	case r.Code == 421:
		return true
	case !c.Temporary():
		return r.namedLimit(p)
	case r.namesRate():
		return true
	}
	return p != rcpt && (c.Subject == 7 || c.Subject == 3 && c.Detail == 2 || c.Subject == 4 && c.Detail == 5)
}

// namedLimit reports whether r is what a row of the table says.
func (r Reply) namedLimit(p phase) bool {
	enhanced := ""
	if r.said {
		enhanced = r.Status.String()
	}
	for _, row := range limits {
		if row.enhanced == enhanced && (row.atRcpt || p != rcpt) && r.says(row.phrase) {
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
	return r.Reply.failure(r.Reply.ownKind(r.phase), err)
}
