package discover

import (
	"strings"

	"sendoff/config"
)

// Placeholders for a user name, in the words of Mozilla's autoconfig. Any other text is the
// user name itself; "" means that only the person knows it.
const (
	wholeAddress = "%EMAILADDRESS%"
	localPart    = "%EMAILLOCALPART%"
	domainPart   = "%EMAILDOMAIN%"
)

// A provider has a server for the addresses of many domains or customers.
type provider struct {
	name    string // the name for people
	keys    string // the words for it in --setup, separated by spaces; the first is in the table; "": the first word of name, in lower case
	domains string // the domains of its addresses, separated by spaces
	mx      string // the ends of host names in its customers' MX records, separated by spaces
	server  string // in the form of the configuration, with REGION for the customer's region; "": it has none
	user    string // a placeholder or a fixed name
	login   Login
	remark  string // what a person has to know about the password
}

// regionPart is the part of a server that the customer has to supply.
const regionPart = "REGION"

// providers is the table of large providers.
var providers = [...]provider{
	{"Google (Gmail, Workspace)", "gmail google", "gmail.com googlemail.com", "google.com googlemail.com", "smtps://smtp.gmail.com", wholeAddress, Google,
		"needs 2-step verification and an app password: https://myaccount.google.com/apppasswords"},
	{"Outlook.com", "outlook outlook.com hotmail", "outlook.com hotmail.com live.com msn.com passport.com outlook.de outlook.fr outlook.es outlook.it outlook.at outlook.jp outlook.com.br hotmail.de hotmail.fr hotmail.it hotmail.es hotmail.co.uk live.de live.fr live.it live.nl live.co.uk", "olc.protection.outlook.com", "smtp://smtp-mail.outlook.com", wholeAddress, Microsoft,
		"password login is switched off: use OAuth2"},
	{"Microsoft 365", "office365 microsoft microsoft365", "onmicrosoft.com", "mail.protection.outlook.com mx.microsoft", "smtp://smtp.office365.com", wholeAddress, Microsoft,
		"password login is switched off, unless an administrator allows SMTP AUTH: use OAuth2"},
	{"Yahoo", "", "yahoo.com ymail.com rocketmail.com myyahoo.com yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.uk yahoo.co.in yahoo.ca yahoo.com.br yahoo.com.au", "yahoodns.net", "smtps://smtp.mail.yahoo.com", wholeAddress, AppPassword,
		"needs an app password: https://login.yahoo.com/account/security"},
	{"AOL", "", "aol.com aim.com aol.de aol.fr aol.co.uk verizon.net", "", "smtps://smtp.aol.com", wholeAddress, AppPassword,
		"needs an app password: https://login.aol.com/account/security"},
	{"iCloud", "", "icloud.com me.com mac.com", "mail.icloud.com", "smtp://smtp.mail.me.com", wholeAddress, AppPassword,
		"needs an app-specific password: https://account.apple.com; for a domain of your own, the user name is the iCloud address"},
	{"Fastmail", "", "fastmail.com fastmail.fm fastmail.net fastmail.org fastmail.de fastmail.co.uk fastmail.jp fastmail.us sent.com messagingengine.com 123mail.org", "messagingengine.com", "smtps://smtp.fastmail.com", wholeAddress, AppPassword,
		"needs an app password: https://app.fastmail.com/settings/security"},
	{"GMX", "", "gmx.de gmx.net gmx.at gmx.ch gmx.org gmx.info gmx.eu gmx.biz", "gmx.net", "smtps://mail.gmx.net", wholeAddress, Password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"GMX.com", "", "gmx.com gmx.us gmx.co.uk gmx.fr gmx.es", "gmx.com", "smtps://mail.gmx.com", wholeAddress, Password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"mail.com", "", "mail.com email.com usa.com", "mail.com", "smtps://smtp.mail.com", wholeAddress, Password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"WEB.DE", "", "web.de", "web.de", "smtps://smtp.web.de", wholeAddress, Password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"Posteo", "", "posteo.de posteo.net posteo.org posteo.eu posteo.at posteo.ch posteo.me posteo.us posteo.uk posteo.pl", "posteo.de", "smtps://posteo.de", wholeAddress, Password, ""},
	{"mailbox.org", "", "mailbox.org", "mailbox.org", "smtps://smtp.mailbox.org", wholeAddress, Password,
		"with two-factor login it needs an app password"},
	{"Proton", "", "proton.me protonmail.com protonmail.ch pm.me", "protonmail.ch", "smtp://127.0.0.1:1025", wholeAddress, AppPassword,
		"needs Proton Mail Bridge on this machine, which shows the password and signs its certificate itself; without Bridge there are SMTP tokens, at smtp://smtp.protonmail.ch, for a domain of your own"},
	{"Tuta", "", "tuta.com tuta.io tutanota.com tutanota.de tutamail.com keemail.me", "tutanota.de", "", "", Password,
		"lets no other program send: it has no SMTP"},
	{"Zoho", "", "zoho.com zohomail.com", "zoho.com", "smtps://smtp.zoho.com", wholeAddress, Password,
		"with two-factor login it needs an app password; paid plans use smtps://smtppro.zoho.com"},
	{"Zoho.eu", "", "zoho.eu zohomail.eu", "zoho.eu", "smtps://smtp.zoho.eu", wholeAddress, Password,
		"with two-factor login it needs an app password; paid plans use smtps://smtppro.zoho.eu"},
	{"Yandex", "", "yandex.ru yandex.com ya.ru yandex.by yandex.kz yandex.ua narod.ru", "yandex.ru yandex.net", "smtps://smtp.yandex.com", wholeAddress, AppPassword,
		"needs an app password, and mail programs allowed in its settings: https://id.yandex.com/security/app-passwords"},
	{"Mail.ru", "", "mail.ru inbox.ru list.ru bk.ru internet.ru", "mail.ru", "smtps://smtp.mail.ru", wholeAddress, AppPassword,
		"needs an app password: https://account.mail.ru/user/2-step-auth/passwords"},
	{"Rambler", "", "rambler.ru lenta.ru ro.ru", "rambler.ru", "smtps://smtp.rambler.ru", wholeAddress, Password,
		"mail programs have to be allowed in its settings"},
	{"T-Online", "", "t-online.de magenta.de", "t-online.de", "smtps://securesmtp.t-online.de", wholeAddress, AppPassword,
		"needs the password for mail programs, which is set in the customer centre"},
	{"Freenet", "", "freenet.de", "freenet.de", "smtps://mx.freenet.de", wholeAddress, Password, ""},
	{"IONOS", "", "online.de", "kundenserver.de ionos.de", "smtps://smtp.ionos.de", wholeAddress, Password, ""},
	{"IONOS.com", "", "", "ionos.com perfora.net 1and1.com", "smtps://smtp.ionos.com", wholeAddress, Password, ""},
	{"Strato", "", "", "rzone.de strato.de", "smtps://smtp.strato.de", wholeAddress, Password, ""},
	{"OVH", "", "", "mail.ovh.net ovh.ca", "smtps://ssl0.ovh.net", wholeAddress, Password, ""},
	{"Infomaniak", "", "ik.me etik.com ikmail.com", "infomaniak.ch infomaniak.com", "smtps://mail.infomaniak.com", wholeAddress, Password,
		"with two-factor login it needs an app password"},
	{"Gandi", "", "", "gandi.net", "smtps://mail.gandi.net", wholeAddress, Password, ""},
	{"Migadu", "", "", "migadu.com", "smtps://smtp.migadu.com", wholeAddress, Password, ""},
	{"Purelymail", "", "purelymail.com", "purelymail.com", "smtps://smtp.purelymail.com", wholeAddress, Password,
		"with two-factor login it needs an app password"},
	{"Mailfence", "", "mailfence.com", "mailfence.com", "smtps://smtp.mailfence.com", localPart, Password, ""},
	{"Runbox", "", "runbox.com", "runbox.com", "smtps://mail.runbox.com", wholeAddress, Password, ""},
	{"Riseup", "", "riseup.net", "", "smtps://mail.riseup.net", localPart, Password, ""},
	{"Disroot", "", "disroot.org", "disroot.org", "smtps://disroot.org", localPart, Password, ""},
	{"Rackspace", "", "", "emailsrvr.com", "smtps://secure.emailsrvr.com", wholeAddress, Password, ""},
	{"Namecheap", "", "", "privateemail.com", "smtps://mail.privateemail.com", wholeAddress, Password, ""},
	{"DreamHost", "", "", "dreamhost.com", "smtps://smtp.dreamhost.com", wholeAddress, Password, ""},
	{"Hostinger", "", "", "hostinger.com", "smtps://smtp.hostinger.com", wholeAddress, Password, ""},
	{"Comcast", "", "comcast.net", "", "smtps://smtp.comcast.net", wholeAddress, Password,
		"sending by other programs has to be allowed in its settings"},
	{"Bluewin", "", "bluewin.ch", "", "smtps://smtpauths.bluewin.ch", wholeAddress, Password, ""},
	{"Orange", "", "orange.fr wanadoo.fr", "", "smtps://smtp.orange.fr", wholeAddress, Password, ""},
	{"Free", "", "free.fr", "", "smtps://smtp.free.fr", wholeAddress, Password, ""},
	{"La Poste", "", "laposte.net", "", "smtps://smtp.laposte.net", wholeAddress, Password, ""},
	{"Libero", "", "libero.it inwind.it iol.it blu.it giallo.it", "", "smtps://smtp.libero.it", wholeAddress, Password, ""},
	{"Seznam", "", "seznam.cz email.cz post.cz", "seznam.cz", "smtps://smtp.seznam.cz", wholeAddress, Password,
		"with two-factor login it needs an app password"},
	{"QQ", "", "qq.com foxmail.com", "", "smtps://smtp.qq.com", wholeAddress, AppPassword,
		"needs an authorisation code, from its settings, as the password"},
	{"NetEase", "", "163.com", "", "smtps://smtp.163.com", wholeAddress, AppPassword,
		"needs an authorisation code, from its settings, as the password"},
	{"Naver", "", "naver.com", "", "smtps://smtp.naver.com", localPart, AppPassword,
		"SMTP has to be switched on in its settings; with two-factor login it needs an app password"},

	{"SES of Amazon", "", "", "", "smtps://email-smtp." + regionPart + ".amazonaws.com", "", AppPassword,
		"needs SMTP credentials, which are not the access keys: SES console, SMTP settings"},
	{"SendGrid", "", "", "", "smtps://smtp.sendgrid.net", "apikey", AppPassword,
		"the password is an API key"},
	{"Mailgun", "", "", "", "smtps://smtp.mailgun.org", "", AppPassword,
		"needs the SMTP credentials of the sending domain"},
	{"Mailgun.eu", "", "", "", "smtps://smtp.eu.mailgun.org", "", AppPassword,
		"needs the SMTP credentials of the sending domain"},
	{"Postmark", "", "", "", "smtp://smtp.postmarkapp.com", "", AppPassword,
		"user name and password are both the server's API token"},
	{"Brevo", "", "", "", "smtp://smtp-relay.brevo.com", "", AppPassword,
		"the password is an SMTP key"},
	{"Mailjet", "", "", "", "smtps://in-v3.mailjet.com", "", AppPassword,
		"the user name is the API key, the password the secret key"},
	{"SparkPost", "", "", "", "smtp://smtp.sparkpostmail.com", "SMTP_Injection", AppPassword,
		"the password is an API key"},
	{"Resend", "", "", "", "smtps://smtp.resend.com", "resend", AppPassword,
		"the password is an API key"},
	{"SMTP2GO", "", "", "", "smtps://mail.smtp2go.com", "", AppPassword,
		"needs an SMTP user, which is not the login to its site"},
}

// providerOf returns the row whose column has name, or a domain above name; nil: there is
// none.
func providerOf(name string, column func(*provider) string) *provider {
	for i := range providers {
		for end := range strings.FieldsSeq(column(&providers[i])) {
			if within(name, end) {
				return &providers[i]
			}
		}
	}
	return nil
}

// within reports whether name is domain or below domain.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// providerAt returns the row of the server s; if the row names no port, any port matches.
// nil: there is none.
func providerAt(s config.Server) *provider {
	for i := range providers {
		_, address, _ := strings.Cut(providers[i].server, "://")
		head, tail, region := strings.Cut(address, regionPart)
		switch {
		case address == "":
		case address == s.Host, address == s.Address():
			return &providers[i]
		case region && strings.HasPrefix(s.Host, head) && strings.HasSuffix(s.Host, tail):
			return &providers[i]
		}
	}
	return nil
}
