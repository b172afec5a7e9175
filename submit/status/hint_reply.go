package status

import (
	"slices"
	"strings"
)

// The remedies of several rows. ownSender takes the place of otherSender where the
// sender is the account's own address.
const (
	otherSender = "use an address that this login may send as: -f ADDRESS, or the account's from, with force-sender = true"
	nullSender  = "the server refuses the null sender <>: name another with -f ADDRESS (sendoff tries the account's own address, but not for reports, automatic answers and bulk mail)"
	ownSender   = "the server does not let this login send as the account's address: check from and user"
	wantsLogin  = "the server requires a login: set user and secret"
	wantsTLS    = `the server requires TLS first: use smtp://HOST as server`
	betterName  = `the server does not accept the name of this machine in EHLO: set hostname = "HOST.DOMAIN", a name that DNS knows, at the top of the configuration`
)

// replies is the table of remedies for what a server answers: at a step of a
// mail ("" for any), with a code ("" for any), in a text that holds the words, as in
// hints. The column code has basic codes, or their first
// digits, and enhanced codes, with spaces between. The first row that fits counts;
// the hint "" ends the search without a hint. A new hint is a row here, and a line in
// TestReplyHint with the words of a real server.
var replies = [...]struct{ step, code, words, hint string }{
	// TLS
	{"", "530 538 550 554 5.7.10 5.7.11", "starttls", wantsTLS},
	{"", "530 538 5.7.10 5.7.11", "encryption", wantsTLS},
	{"", "530 538 5.7.10", "tls", wantsTLS},

	// our name
	{"ehlo", "421 4.7.0", "try again later", betterName},
	{"", "", "helo command rejected/need fully-qualified hostname/invalid helo/helo name/helo invalid", betterName},
	{"ehlo", "5", "", betterName},

	// the login itself
	{"auth", "5.7.9", "", googlePassword},
	{"auth", "5.7.14", "", "log in once with a web browser, at the address in the server's words; after that use an app password"},
	{"auth", "504 5.5.4", "", `the server offers a mechanism that it does not know: name another: auth = "LOGIN"`},
	{"auth", "5.7.139", "credentials were incorrect", storeAgain},
	{"auth", "5.7.139", "security defaults", "Microsoft's security defaults forbid password login for this tenant: use OAuth2 (man sendoff-oauth), or let its administrator change them"},
	{"auth", "", "authorization code", "this provider requires an authorization code in place of the password; make one in its mail settings, and store it: sendoff --login ACCOUNT"},
	{"auth", "", "application password/app password/app-specific password", "this provider requires an app password; make one in its settings, and store it: sendoff --login ACCOUNT"},
	{"auth", "", "does not have access rights to this service", "switch on access for mail programs in the settings of the provider, and use an app password"},
	{"auth", "525 5.7.13", "", "the provider has disabled this user: log in to its web site"},
	{"auth", "534 5.7.12", "transition", "the provider asks for the password again: log in once with a web browser"},

	// a login that was not made
	{"transaction", "", "authentication required/authentication is required/not logged in/not authenticated/" +
		"must authenticate/must be authenticated/authenticate first/login first/log in first/need auth/" +
		"smtp authentication/unauthenticated senders", wantsLogin},
	{"transaction", "530", "", wantsLogin},

	// a domain that the sender must prove
	{"transaction", "", "dmarc", "the sender's domain lets only some servers send for it (SPF, DKIM, DMARC): send through the domain's own provider, or use another sender"},

	// this machine's address
	{"transaction", "", "spamhaus/blocked using/blocklist/block list/blacklist/client host rejected/dynamic ip/" +
		"ptr record/reverse dns/poor reputation",
		"the server refuses this machine's address, and not the mail: send through a provider that you log in to, on port 465 or 587"},
	{"greeting", "5", "", "the server accepts no mail from this machine: check server; use a provider that you log in to, on port 465 or 587"},

	// the sender
	{"null", "5", "", nullSender},
	{"transaction", "", "<>", nullSender},
	{"transaction", "5.7.60 5.2.252 5.1.7 5.1.8", "", otherSender},
	{"transaction", "", "sendasdenied/send as /sender identity/sender signature/address is not verified/" +
		"from: address not verified/identities failed the check/not one of your addresses/not owned by/" +
		"relaying disallowed as/authorization user/authorized user/doesn't conform with authentication/" +
		"not local sender/unauthorized sender/sender is not allowed/sender address is not/" +
		"sender address rejected/from address is not/sender verify failed/sender not allowed/" +
		"sender not auth", otherSender},

	// what is attached
	{"end", "", "content presents a potential security/attachment type/file type/banned file/blocked attachment",
		"the server refuses this kind of file, also inside an archive: send a link to it"},

	// where it may go
	{"transaction", "", "relay access denied/relaying denied/relaying not/relay denied/relay not/to relay/not relay", "the server sends to other domains only after a login: set user and secret"},

	// MAIL says no more than that it is the sender
	{"mail", "555 501 503 504 5.5.", "", ""},
	{"mail", "550 551 553 554", "", otherSender},
}

// steps has the names of steps in replies, and the words by which an error names the
// step that a server refused.
var steps = [...]struct{ step, words string }{
	{"greeting", "greeting: "},
	{"ehlo", "ehlo: "},
	{"ehlo", "helo: "},
	{"token", "auth xoauth2: "},
	{"token", "auth oauthbearer: "},
	{"auth", "auth "},
	{"null", "mail from:<>"}, // the same step
	{"mail", "mail from:<"},
	{"rcpt", "rcpt to:<"},
	{"data", "data: "},
	{"end", "end of message: "},
}

// An answer is what a server said at a step, in lower case. enhanced is "" if the server
// gave no enhanced code.
type answer struct{ step, code, enhanced, words string }

// answerIn finds the first answer of a server in an error's text, which names the
// step before it.
func answerIn(text string) (a answer, ok bool) {
	first := len(text)
	for _, s := range steps {
		i := strings.Index(text, s.words)
		if i < 0 || i >= first || i > 0 && isAlnum(text[i-1]) {
			continue
		}
		_, rest, _ := strings.Cut(text[i:], ": ")
		code, rest, _ := strings.Cut(rest, " ")
		if end := strings.LastIndex(rest, " ("); end >= 0 { // the server's name
			rest = rest[:end]
		}
		if len(code) != 3 || strings.Trim(code, "0123456789") != "" {
			continue
		}
		first, ok = i, true
		a = answer{s.step, code, "", rest}
		if c, _, said := ParseCode(rest); said {
			a.enhanced = c.String()
		}
	}
	return a, ok
}

// replyHint returns what to do about a server's answer; ok is false if the table
// knows nothing of it.
func replyHint(a answer) (hint string, ok bool) {
	for _, row := range replies {
		if a.at(row.step) && a.has(row.code) && holds(a.words, row.words) {
			return row.hint, true
		}
	}
	return "", false
}

// at reports whether a is of a step that a row names. A transaction is all from
// MAIL on.
func (a answer) at(step string) bool {
	if step == "transaction" {
		return slices.Contains([]string{"null", "mail", "rcpt", "data", "end"}, a.step)
	}
	return step == "" || step == a.step
}

// has reports whether a has one of the codes.
func (a answer) has(codes string) bool {
	for code := range strings.FieldsSeq(codes) {
		part := a.code
		if strings.Contains(code, ".") {
			part = a.enhanced
		}
		if part == code || strings.HasPrefix(part, code) && (strings.HasSuffix(code, ".") || len(code) < 3) {
			return true
		}
	}
	return codes == ""
}
