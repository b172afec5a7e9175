package setup

import (
	"strings"

	"sendoff/config"
)

// What the user name is, in the words of Mozilla's autoconfig. Anything else
// is the name itself; "" is one that only the person knows.
const (
	wholeAddress = "%EMAILADDRESS%"
	localPart    = "%EMAILLOCALPART%"
	domainPart   = "%EMAILDOMAIN%"
)

// A provider is somebody with a server for many.
type provider struct {
	name    string // to people; its first word, in lower case, is what --server takes
	domains string // of its addresses, with spaces between
	mx      string // the end of the names in its customers' MX records; likewise
	server  string // as a configuration has it; REGION is for the customer to say, "" means that there is none
	user    string // wholeAddress, or another
	login   login
	remark  string // what else a person has to know
}

// regionPart stands in a server for what differs from customer to customer.
const regionPart = "REGION"

// providers is the table of large providers.
var providers = [...]provider{
	{"Google (Gmail, Workspace)", "gmail.com googlemail.com", "google.com googlemail.com", "smtps://smtp.gmail.com", wholeAddress, google,
		"needs 2-step verification and an app password: https://myaccount.google.com/apppasswords"},
	{"Outlook.com", "outlook.com hotmail.com live.com msn.com passport.com outlook.de outlook.fr outlook.es outlook.it outlook.at outlook.jp outlook.com.br hotmail.de hotmail.fr hotmail.it hotmail.es hotmail.co.uk live.de live.fr live.it live.nl live.co.uk", "olc.protection.outlook.com", "smtp://smtp-mail.outlook.com", wholeAddress, microsoft,
		"password login is switched off: use OAuth2"},
	{"Microsoft 365", "onmicrosoft.com", "mail.protection.outlook.com mx.microsoft", "smtp://smtp.office365.com", wholeAddress, microsoft,
		"password login is switched off, unless an administrator allows SMTP AUTH: use OAuth2"},
	{"Yahoo", "yahoo.com ymail.com rocketmail.com myyahoo.com yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.uk yahoo.co.in yahoo.ca yahoo.com.br yahoo.com.au", "yahoodns.net", "smtps://smtp.mail.yahoo.com", wholeAddress, appPassword,
		"needs an app password: https://login.yahoo.com/account/security"},
	{"AOL", "aol.com aim.com aol.de aol.fr aol.co.uk verizon.net", "", "smtps://smtp.aol.com", wholeAddress, appPassword,
		"needs an app password: https://login.aol.com/account/security"},
	{"iCloud", "icloud.com me.com mac.com", "mail.icloud.com", "smtp://smtp.mail.me.com", wholeAddress, appPassword,
		"needs an app-specific password: https://account.apple.com; for a domain of your own, the user name is the iCloud address"},
	{"Fastmail", "fastmail.com fastmail.fm fastmail.net fastmail.org fastmail.de fastmail.co.uk fastmail.jp fastmail.us sent.com messagingengine.com 123mail.org", "messagingengine.com", "smtps://smtp.fastmail.com", wholeAddress, appPassword,
		"needs an app password: https://app.fastmail.com/settings/security"},
	{"GMX", "gmx.de gmx.net gmx.at gmx.ch gmx.org gmx.info gmx.eu gmx.biz", "gmx.net", "smtps://mail.gmx.net", wholeAddress, password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"GMX.com", "gmx.com gmx.us gmx.co.uk gmx.fr gmx.es", "gmx.com", "smtps://mail.gmx.com", wholeAddress, password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"mail.com", "mail.com email.com usa.com", "mail.com", "smtps://smtp.mail.com", wholeAddress, password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"WEB.DE", "web.de", "web.de", "smtps://smtp.web.de", wholeAddress, password,
		"sending by other programs has to be switched on in its settings (POP3/IMAP)"},
	{"Posteo", "posteo.de posteo.net posteo.org posteo.eu posteo.at posteo.ch posteo.me posteo.us posteo.uk posteo.pl", "posteo.de", "smtps://posteo.de", wholeAddress, password, ""},
	{"mailbox.org", "mailbox.org", "mailbox.org", "smtps://smtp.mailbox.org", wholeAddress, password,
		"with two-factor login it needs an app password"},
	{"Proton", "proton.me protonmail.com protonmail.ch pm.me", "protonmail.ch", "smtp://127.0.0.1:1025", wholeAddress, appPassword,
		"needs Proton Mail Bridge on this machine, which shows the password and signs its certificate itself; without Bridge there are SMTP tokens, at smtp://smtp.protonmail.ch, for a domain of your own"},
	{"Tuta", "tuta.com tuta.io tutanota.com tutanota.de tutamail.com keemail.me", "tutanota.de", "", "", password,
		"lets no other program send: it has no SMTP"},
	{"Zoho", "zoho.com zohomail.com", "zoho.com", "smtps://smtp.zoho.com", wholeAddress, password,
		"with two-factor login it needs an app password; paid plans use smtps://smtppro.zoho.com"},
	{"Zoho.eu", "zoho.eu zohomail.eu", "zoho.eu", "smtps://smtp.zoho.eu", wholeAddress, password,
		"with two-factor login it needs an app password; paid plans use smtps://smtppro.zoho.eu"},
	{"Yandex", "yandex.ru yandex.com ya.ru yandex.by yandex.kz yandex.ua narod.ru", "yandex.ru yandex.net", "smtps://smtp.yandex.com", wholeAddress, appPassword,
		"needs an app password, and mail programs allowed in its settings: https://id.yandex.com/security/app-passwords"},
	{"Mail.ru", "mail.ru inbox.ru list.ru bk.ru internet.ru", "mail.ru", "smtps://smtp.mail.ru", wholeAddress, appPassword,
		"needs an app password: https://account.mail.ru/user/2-step-auth/passwords"},
	{"Rambler", "rambler.ru lenta.ru ro.ru", "rambler.ru", "smtps://smtp.rambler.ru", wholeAddress, password,
		"mail programs have to be allowed in its settings"},
	{"T-Online", "t-online.de magenta.de", "t-online.de", "smtps://securesmtp.t-online.de", wholeAddress, appPassword,
		"needs the password for mail programs, which is set in the customer centre"},
	{"Freenet", "freenet.de", "freenet.de", "smtps://mx.freenet.de", wholeAddress, password, ""},
	{"IONOS", "online.de", "kundenserver.de ionos.de", "smtps://smtp.ionos.de", wholeAddress, password, ""},
	{"IONOS.com", "", "ionos.com perfora.net 1and1.com", "smtps://smtp.ionos.com", wholeAddress, password, ""},
	{"Strato", "", "rzone.de strato.de", "smtps://smtp.strato.de", wholeAddress, password, ""},
	{"OVH", "", "mail.ovh.net ovh.ca", "smtps://ssl0.ovh.net", wholeAddress, password, ""},
	{"Infomaniak", "ik.me etik.com ikmail.com", "infomaniak.ch infomaniak.com", "smtps://mail.infomaniak.com", wholeAddress, password,
		"with two-factor login it needs an app password"},
	{"Gandi", "", "gandi.net", "smtps://mail.gandi.net", wholeAddress, password, ""},
	{"Migadu", "", "migadu.com", "smtps://smtp.migadu.com", wholeAddress, password, ""},
	{"Purelymail", "purelymail.com", "purelymail.com", "smtps://smtp.purelymail.com", wholeAddress, password,
		"with two-factor login it needs an app password"},
	{"Mailfence", "mailfence.com", "mailfence.com", "smtps://smtp.mailfence.com", localPart, password, ""},
	{"Runbox", "runbox.com", "runbox.com", "smtps://mail.runbox.com", wholeAddress, password, ""},
	{"Riseup", "riseup.net", "", "smtps://mail.riseup.net", localPart, password, ""},
	{"Disroot", "disroot.org", "disroot.org", "smtps://disroot.org", localPart, password, ""},
	{"Rackspace", "", "emailsrvr.com", "smtps://secure.emailsrvr.com", wholeAddress, password, ""},
	{"Namecheap", "", "privateemail.com", "smtps://mail.privateemail.com", wholeAddress, password, ""},
	{"DreamHost", "", "dreamhost.com", "smtps://smtp.dreamhost.com", wholeAddress, password, ""},
	{"Hostinger", "", "hostinger.com", "smtps://smtp.hostinger.com", wholeAddress, password, ""},
	{"Comcast", "comcast.net", "", "smtps://smtp.comcast.net", wholeAddress, password,
		"sending by other programs has to be allowed in its settings"},
	{"Bluewin", "bluewin.ch", "", "smtps://smtpauths.bluewin.ch", wholeAddress, password, ""},
	{"Orange", "orange.fr wanadoo.fr", "", "smtps://smtp.orange.fr", wholeAddress, password, ""},
	{"Free", "free.fr", "", "smtps://smtp.free.fr", wholeAddress, password, ""},
	{"La Poste", "laposte.net", "", "smtps://smtp.laposte.net", wholeAddress, password, ""},
	{"Libero", "libero.it inwind.it iol.it blu.it giallo.it", "", "smtps://smtp.libero.it", wholeAddress, password, ""},
	{"Seznam", "seznam.cz email.cz post.cz", "seznam.cz", "smtps://smtp.seznam.cz", wholeAddress, password,
		"with two-factor login it needs an app password"},
	{"QQ", "qq.com foxmail.com", "", "smtps://smtp.qq.com", wholeAddress, appPassword,
		"needs an authorisation code, from its settings, as the password"},
	{"NetEase", "163.com", "", "smtps://smtp.163.com", wholeAddress, appPassword,
		"needs an authorisation code, from its settings, as the password"},
	{"Naver", "naver.com", "", "smtps://smtp.naver.com", localPart, appPassword,
		"SMTP has to be switched on in its settings; with two-factor login it needs an app password"},

	{"SES of Amazon", "", "", "smtps://email-smtp." + regionPart + ".amazonaws.com", "", appPassword,
		"needs SMTP credentials, which are not the access keys: SES console, SMTP settings"},
	{"SendGrid", "", "", "smtps://smtp.sendgrid.net", "apikey", appPassword,
		"the password is an API key"},
	{"Mailgun", "", "", "smtps://smtp.mailgun.org", "", appPassword,
		"needs the SMTP credentials of the sending domain"},
	{"Mailgun.eu", "", "", "smtps://smtp.eu.mailgun.org", "", appPassword,
		"needs the SMTP credentials of the sending domain"},
	{"Postmark", "", "", "smtp://smtp.postmarkapp.com", "", appPassword,
		"user name and password are both the server's API token"},
	{"Brevo", "", "", "smtp://smtp-relay.brevo.com", "", appPassword,
		"the password is an SMTP key"},
	{"Mailjet", "", "", "smtps://in-v3.mailjet.com", "", appPassword,
		"the user name is the API key, the password the secret key"},
	{"SparkPost", "", "", "smtp://smtp.sparkpostmail.com", "SMTP_Injection", appPassword,
		"the password is an API key"},
	{"Resend", "", "", "smtps://smtp.resend.com", "resend", appPassword,
		"the password is an API key"},
	{"SMTP2GO", "", "", "smtps://mail.smtp2go.com", "", appPassword,
		"needs an SMTP user, which is not the login to its site"},
}

// providerOf returns the row whose list, a column of them, fits the domain or
// the host name: has it, or a name that it lies below; nil if there is none.
func providerOf(name string, list func(*provider) string) *provider {
	for i := range providers {
		for end := range strings.FieldsSeq(list(&providers[i])) {
			if within(name, end) {
				return &providers[i]
			}
		}
	}
	return nil
}

// within reports whether name is domain, or lies below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// providerAt returns the row of that server, on whatever port if the row has
// none; nil if there is none.
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

// named returns the server of the provider that word names, as in "sendgrid"
// or "ses:eu-west-1"; "" if there is none.
func named(word string) string {
	word, region, _ := strings.Cut(strings.ToLower(word), ":")
	for i := range providers {
		p := &providers[i]
		name, _, _ := strings.Cut(strings.ToLower(p.name), " ")
		if name != word || strings.Contains(p.server, regionPart) != (region != "") {
			continue
		}
		return strings.ReplaceAll(p.server, regionPart, region)
	}
	return ""
}

// parseServer reads a server as a configuration has it, or the name of a
// provider.
func parseServer(text string) (config.Server, error) {
	var s config.Server
	if url := named(text); url != "" {
		text = url
	}
	err := s.UnmarshalText([]byte(text))
	return s, err
}
