package smtp

import (
	"errors"

	"sendoff/submit/status"
)

// limits are 5yz replies that mean a limit of the account, such as a number of messages
// per day: some providers refuse a message for good where they mean "later". A provider
// uses each phrase, which is in lower case, for nothing else. A recipient's mailbox over
// quota is no limit of the account. An enhanced of "" is a reply without an enhanced code.
var limits = [...]struct {
	enhanced, phrase string
	atRcpt           bool // the row also holds for a reply to RCPT
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

// rates are words about how much an account sends. With a word of aboutRecipient the
// reply says that a recipient gets too much, unless it also has a word of aboutSender.
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

// limited reports whether r, in phase p, says that the server accepts no more mail of the
// account for now, whatever the message is:
//
//	421             in reply to any command: the server ends the session
//	4.7.z 4.3.2     in reply to MAIL, DATA and the message; in reply to RCPT these
//	4.4.5           codes mean greylisting, or another reason of the recipient's
//	other 4yz       if the words name the sender's rate
//	5yz             only the rows of the table limits
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

// namedLimit reports whether a row of limits matches r.
func (r Reply) namedLimit(p phase) bool {
	enhanced := ""
	if r.hasStatus {
		enhanced = r.Status.String()
	}
	for _, row := range limits {
		if row.enhanced == enhanced && (row.atRcpt || p != rcpt) && r.says(row.phrase) {
			return true
		}
	}
	return false
}

// MayBeVerdict reports whether a refusal that counts as a limit may be about the message
// instead: it is a 4yz reply to the message, other than 421, that names no rate.
func MayBeVerdict(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.phase == dot && r.Reply.Code != 421 && r.Reply.Class() == 4 && !r.Reply.namesRate()
}

// AboutMessage returns the error that a refusal which counts as a limit means if it is
// about the message after all: the server accepts other messages of the account. It
// returns any other error unchanged.
func AboutMessage(err error) error {
	var r *Refusal
	if status.KindOf(err) != status.Limited || !errors.As(err, &r) {
		return err
	}
	return r.Reply.failure(r.Reply.ownKind(r.phase), err)
}
