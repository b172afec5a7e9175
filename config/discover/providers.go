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
	remark  string // what a person has to know about the password, as a sentence
}

// regionPart is the part of a server that the customer has to supply.
const regionPart = "REGION"

// providers is the table of large providers.
var providers = [...]provider{
	{"Google (Gmail, Workspace)", "gmail google", "gmail.com googlemail.com", "google.com googlemail.com", "smtps://smtp.gmail.com", wholeAddress, Google,
		"Google requires 2-step verification and an app password: https://myaccount.google.com/apppasswords"},
	{"Outlook.com", "outlook outlook.com hotmail", "outlook.com hotmail.com live.com msn.com passport.com outlook.de outlook.fr outlook.es outlook.it outlook.at outlook.jp outlook.com.br hotmail.de hotmail.fr hotmail.it hotmail.es hotmail.co.uk live.de live.fr live.it live.nl live.co.uk", "olc.protection.outlook.com", "smtp://smtp-mail.outlook.com", wholeAddress, Microsoft,
		"Outlook.com has switched off password login: use OAuth2"},
	{"Microsoft 365", "office365 microsoft microsoft365", "onmicrosoft.com", "mail.protection.outlook.com mx.microsoft", "smtp://smtp.office365.com", wholeAddress, Microsoft,
		"Microsoft 365 has switched off password login, unless an administrator allows SMTP AUTH: use OAuth2"},
	{"Yahoo", "", "yahoo.com ymail.com rocketmail.com myyahoo.com yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.uk yahoo.co.in yahoo.ca yahoo.com.br yahoo.com.au", "yahoodns.net", "smtps://smtp.mail.yahoo.com", wholeAddress, AppPassword,
		"Yahoo requires an app password: https://login.yahoo.com/account/security"},
	{"AOL", "", "aol.com aim.com aol.de aol.fr aol.co.uk verizon.net", "", "smtps://smtp.aol.com", wholeAddress, AppPassword,
		"AOL requires an app password: https://login.aol.com/account/security"},
	{"iCloud", "", "icloud.com me.com mac.com", "mail.icloud.com", "smtp://smtp.mail.me.com", wholeAddress, AppPassword,
		"iCloud requires an app-specific password: https://account.apple.com; for a domain of your own, the user name is the iCloud address"},
	{"Fastmail", "", "fastmail.com fastmail.fm fastmail.net fastmail.org fastmail.de fastmail.co.uk fastmail.jp fastmail.us sent.com messagingengine.com 123mail.org", "messagingengine.com", "smtps://smtp.fastmail.com", wholeAddress, AppPassword,
		"Fastmail requires an app password: https://app.fastmail.com/settings/security"},
	{"GMX", "", "gmx.de gmx.net gmx.at gmx.ch gmx.org gmx.info gmx.eu gmx.biz", "gmx.net", "smtps://mail.gmx.net", wholeAddress, Password,
		"First allow other programs to send, in the settings of GMX (POP3/IMAP)"},
	{"GMX.com", "", "gmx.com gmx.us gmx.co.uk gmx.fr gmx.es", "gmx.com", "smtps://mail.gmx.com", wholeAddress, Password,
		"First allow other programs to send, in the settings of GMX.com (POP3/IMAP)"},
	{"mail.com", "", "mail.com email.com usa.com", "mail.com", "smtps://smtp.mail.com", wholeAddress, Password,
		"First allow other programs to send, in the settings of mail.com (POP3/IMAP)"},
	{"WEB.DE", "", "web.de", "web.de", "smtps://smtp.web.de", wholeAddress, Password,
		"First allow other programs to send, in the settings of WEB.DE (POP3/IMAP)"},
	{"Posteo", "", "posteo.de posteo.net posteo.org posteo.eu posteo.at posteo.ch posteo.me posteo.us posteo.uk posteo.pl", "posteo.de", "smtps://posteo.de", wholeAddress, Password, ""},
	{"mailbox.org", "", "mailbox.org", "mailbox.org", "smtps://smtp.mailbox.org", wholeAddress, Password,
		"mailbox.org requires an app password if two-factor login is on"},
	{"Proton", "", "proton.me protonmail.com protonmail.ch pm.me", "protonmail.ch", "smtp://127.0.0.1:1025", wholeAddress, AppPassword,
		"Proton requires Proton Mail Bridge on this machine, which shows the password and signs its certificate itself; for a domain of your own, Proton also has SMTP tokens, at smtp://smtp.protonmail.ch"},
	{"Tuta", "", "tuta.com tuta.io tutanota.com tutanota.de tutamail.com keemail.me", "tutanota.de", "", "", Password,
		"Tuta has no SMTP, so other programs cannot send with it"},
	{"Zoho", "", "zoho.com zohomail.com", "zoho.com", "smtps://smtp.zoho.com", wholeAddress, Password,
		"Zoho requires an app password if two-factor login is on; paid plans use smtps://smtppro.zoho.com"},
	{"Zoho.eu", "", "zoho.eu zohomail.eu", "zoho.eu", "smtps://smtp.zoho.eu", wholeAddress, Password,
		"Zoho requires an app password if two-factor login is on; paid plans use smtps://smtppro.zoho.eu"},
	{"Yandex", "", "yandex.ru yandex.com ya.ru yandex.by yandex.kz yandex.ua narod.ru", "yandex.ru yandex.net", "smtps://smtp.yandex.com", wholeAddress, AppPassword,
		"Yandex requires an app password, and mail programs allowed in its settings: https://id.yandex.com/security/app-passwords"},
	{"Mail.ru", "", "mail.ru inbox.ru list.ru bk.ru internet.ru", "mail.ru", "smtps://smtp.mail.ru", wholeAddress, AppPassword,
		"Mail.ru requires an app password: https://account.mail.ru/user/2-step-auth/passwords"},
	{"Rambler", "", "rambler.ru lenta.ru ro.ru", "rambler.ru", "smtps://smtp.rambler.ru", wholeAddress, Password,
		"First allow mail programs in the settings of Rambler"},
	{"T-Online", "", "t-online.de magenta.de", "t-online.de", "smtps://securesmtp.t-online.de", wholeAddress, AppPassword,
		"T-Online requires the password for mail programs, which you set in its customer centre"},
	{"Freenet", "", "freenet.de", "freenet.de", "smtps://mx.freenet.de", wholeAddress, Password, ""},
	{"IONOS", "", "online.de", "kundenserver.de ionos.de", "smtps://smtp.ionos.de", wholeAddress, Password, ""},
	{"IONOS.com", "", "", "ionos.com perfora.net 1and1.com", "smtps://smtp.ionos.com", wholeAddress, Password, ""},
	{"Strato", "", "", "rzone.de strato.de", "smtps://smtp.strato.de", wholeAddress, Password, ""},
	{"OVH", "", "", "mail.ovh.net ovh.ca", "smtps://ssl0.ovh.net", wholeAddress, Password, ""},
	{"Infomaniak", "", "ik.me etik.com ikmail.com", "infomaniak.ch infomaniak.com", "smtps://mail.infomaniak.com", wholeAddress, Password,
		"Infomaniak requires an app password if two-factor login is on"},
	{"Gandi", "", "", "gandi.net", "smtps://mail.gandi.net", wholeAddress, Password, ""},
	{"Migadu", "", "", "migadu.com", "smtps://smtp.migadu.com", wholeAddress, Password, ""},
	{"Purelymail", "", "purelymail.com", "purelymail.com", "smtps://smtp.purelymail.com", wholeAddress, Password,
		"Purelymail requires an app password if two-factor login is on"},
	{"Mailfence", "", "mailfence.com", "mailfence.com", "smtps://smtp.mailfence.com", localPart, Password, ""},
	{"Runbox", "", "runbox.com", "runbox.com", "smtps://mail.runbox.com", wholeAddress, Password, ""},
	{"Riseup", "", "riseup.net", "", "smtps://mail.riseup.net", localPart, Password, ""},
	{"Disroot", "", "disroot.org", "disroot.org", "smtps://disroot.org", localPart, Password, ""},
	{"Rackspace", "", "", "emailsrvr.com", "smtps://secure.emailsrvr.com", wholeAddress, Password, ""},
	{"Namecheap", "", "", "privateemail.com", "smtps://mail.privateemail.com", wholeAddress, Password, ""},
	{"DreamHost", "", "", "dreamhost.com", "smtps://smtp.dreamhost.com", wholeAddress, Password, ""},
	{"Hostinger", "", "", "hostinger.com", "smtps://smtp.hostinger.com", wholeAddress, Password, ""},
	{"Comcast", "", "comcast.net", "", "smtps://smtp.comcast.net", wholeAddress, Password,
		"First allow other programs to send, in the settings of Comcast"},
	{"Bluewin", "", "bluewin.ch", "", "smtps://smtpauths.bluewin.ch", wholeAddress, Password, ""},
	{"Orange", "", "orange.fr wanadoo.fr", "", "smtps://smtp.orange.fr", wholeAddress, Password, ""},
	{"Free", "", "free.fr", "", "smtps://smtp.free.fr", wholeAddress, Password, ""},
	{"La Poste", "laposte", "laposte.net", "", "smtps://smtp.laposte.net", wholeAddress, Password, ""},
	{"Libero", "", "libero.it inwind.it iol.it blu.it giallo.it", "", "smtps://smtp.libero.it", wholeAddress, Password, ""},
	{"Seznam", "", "seznam.cz email.cz post.cz", "seznam.cz", "smtps://smtp.seznam.cz", wholeAddress, Password,
		"Seznam requires an app password if two-factor login is on"},
	{"QQ", "", "qq.com foxmail.com", "", "smtps://smtp.qq.com", wholeAddress, AppPassword,
		"QQ requires an authorisation code as the password; its settings show the code"},
	{"NetEase", "", "163.com", "", "smtps://smtp.163.com", wholeAddress, AppPassword,
		"NetEase requires an authorisation code as the password; its settings show the code"},
	{"Naver", "", "naver.com", "", "smtps://smtp.naver.com", localPart, AppPassword,
		"First switch on SMTP in the settings of Naver; if two-factor login is on, Naver requires an app password"},

	{"SES of Amazon", "", "", "", "smtps://email-smtp." + regionPart + ".amazonaws.com", "", AppPassword,
		"SES requires SMTP credentials, which are not the access keys: SES console, SMTP settings"},
	{"SendGrid", "", "", "", "smtps://smtp.sendgrid.net", "apikey", AppPassword,
		"The password for SendGrid is an API key"},
	{"Mailgun", "", "", "", "smtps://smtp.mailgun.org", "", AppPassword,
		"Mailgun requires the SMTP credentials of the sending domain"},
	{"Mailgun.eu", "", "", "", "smtps://smtp.eu.mailgun.org", "", AppPassword,
		"Mailgun requires the SMTP credentials of the sending domain"},
	{"Postmark", "", "", "", "smtp://smtp.postmarkapp.com", "", AppPassword,
		"For Postmark, user name and password are both the server's API token"},
	{"Brevo", "", "", "", "smtp://smtp-relay.brevo.com", "", AppPassword,
		"The password for Brevo is an SMTP key"},
	{"Mailjet", "", "", "", "smtps://in-v3.mailjet.com", "", AppPassword,
		"For Mailjet, the user name is the API key, and the password is the secret key"},
	{"SparkPost", "", "", "", "smtp://smtp.sparkpostmail.com", "SMTP_Injection", AppPassword,
		"The password for SparkPost is an API key"},
	{"Resend", "", "", "", "smtps://smtp.resend.com", "resend", AppPassword,
		"The password for Resend is an API key"},
	{"SMTP2GO", "", "", "", "smtps://mail.smtp2go.com", "", AppPassword,
		"SMTP2GO requires an SMTP user, which is not the login to its site"},
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
