package status

import (
	"errors"
	"slices"
	"strings"
)

// hints is the table of remedies: for an error of a kind whose text holds all
// the words between bars, or one of those between slashes, in any case. The first row
// that fits counts. ACCOUNT
// stands for the account's name, and the words in placeholders for other values. A new hint
// is a row here; its words are in lower case, and stand in a literal of the code that
// makes the error, or in othersWords of the test that holds that.
var hints = [...]struct {
	kind  Kind
	words string
	hint  string
}{
	{Usage, "--queue-run does not send", "an interval follows an equals sign: --queue-run=5m"},
	{Usage, "is not allowed under the name|sendoff-", "it is sendmail under every name but one: mv PROGRAM sendoff"},
	{Usage, "must come first/must come before recipients/is not allowed under the name/does not send the message on stdin, so it", `see "Untrusted arguments" in sendoff(1)`},
	{Usage, "option/no recipients; give", "see sendoff --help"},
	{Usage, "white space inside the address", `separate addresses by commas, and quote a name that has one: "Doe, Ann" <ann@example.org>`},

	{Data, "header too long", "is there an empty line between header and body?"},
	{Data, "nul", "send the file as an attachment: only base64 can carry a NUL"},
	{Data, "white space inside the address", `separate addresses by commas, and quote a name that has one: "Doe, Ann" <ann@example.org>`},
	{TooBig, "", "send a link to the file, or split the message"},
	{NoInput, "--attach|no such file", "check the path; a path that does not begin with / starts at the current folder"},
	{NoInput, "--attach|permission denied", "only those who may read the file can attach it: ls -l shows who"},
	{NoInput, "--attach|is a folder", "attach an archive of the folder: tar -czf NAME.tar.gz NAME"},
	{NoInput, "--attach|became shorter", "send it again when no program writes to the file"},
	{NoInput, "reading the message", "the program that wrote the message stopped before its end"},
	{Temporary, "cannot keep a large message", "name a folder with enough space: export TMPDIR=/var/tmp"},
	{Temporary, "there is no queue, so", "set queue to a folder of yours, or make one for each user: sudo sendoff --make-spool"},
	{Temporary, "; the queue is in", "give that folder to yourself, or remove it"},
	{Temporary, "can be queued|full", "raise queue-limit, or try to send what is queued: sendoff -q"},
	{Temporary, "can be queued", "the folder must be yours and writable, on a disk with free space"},
	{Temporary, "runs the queue:", `set runner = "on" (SENDOFF_RUNNER=on) if background processes survive here; otherwise let a timer run every 5 minutes: sendoff --queue-run=5m`},

	{Config, "has no variable sendoff_server", "set SENDOFF_SERVER and the other variables for this process; cron's jobs get those in /etc/environment, or at the top of the crontab: man sendoff-server"},
	{Config, "no account configured/no account is configured", "run sendoff --setup to create one (to try without an account: --rehearse)"},
	{Config, "--import: |permission denied", "run this as root: sudo sendoff --import FILE"},
	{Config, "relayhost is not set/smarthost is not set", "create an account: sendoff --setup"},
	{Config, "no default account", `put account = "NAME" at the top of the configuration, or name one: --account NAME`},
	{Usage, "only root can create", "run it as root: sudo sendoff --make-spool"},
	{Usage, "which others could replace", "install a copy that only root can change, and run that: sudo install -m 755 sendoff /usr/local/bin/sendoff"},
	{Temporary, "root's session keyring", "allow keyctl in the seccomp profile of this container, or run as each user: sendoff --queue-run=5m"},
	{Config, "runs set-uid", "take the rights away: sudo chmod ug-s PROGRAM (or sudo setcap -r PROGRAM); one password for all users: sudo sendoff --setup ADDRESS --for machine"},
	{Config, "can write it", "remove that right: chmod go-w FILE"},
	{Config, "others cannot read it", "users who cannot read it cannot send mail: chmod a+r FILE"},
	{Config, "others cannot enter it", "users who cannot enter it cannot send mail: chmod a+rx FILE"},
	{Config, ".toml: permission denied", "let its owner give you the right to enter the folders above it (chmod a+x), and to read it: chmod a+r FILE"},
	{Config, "it belongs to uid", "give it to root, or to yourself: sudo chown root FILE"},
	{Config, "aliases: |no such file", `set aliases = "off", or create the file: sudo touch FILE`},
	{Config, "the configuration has no [oauth2.", "sendoff needs a client ID from the provider; this shows how to get one: man sendoff-oauth"},
	{Config, "account not saved|cannot be written to", "run this as the user who owns the file, or name a file of yours: --config PATH"},
	{Config, "cannot be written to", "run this as the user who owns the file, or create an account of your own: sendoff --setup --account ACCOUNT"},
	{Config, "unknown key", "this page lists the settings: man sendoff.toml"},
	{Config, "has no server", `add server = "smtps://HOST"`},
	{Config, "byte order mark", "save the file as UTF-8 without a byte order mark"},
	{Config, "account allows", "change the setting auth of the account, or remove it"},
	{Config, "takes only oauth2 tokens", `set secret = "oauth2:NAME" (man sendoff-oauth); if the secret is a token, name the mechanism in auth`},
	{Config, "must be a token", `set auth = "XOAUTH2" or "OAUTHBEARER", and let secret name the source of a token`},
	{Config, "must be a password", "this server accepts no tokens: set secret to the source of a password, such as keyring or file:PATH"},
	{Config, "tls and a client certificate", "set tls-cert and tls-key"},
	{Config, "the secret is not a token", "get a new token where the secret comes from"},
	{Config, "no certificate in it", "name a PEM file: it has lines with BEGIN CERTIFICATE and END CERTIFICATE"},
	{Config, "is der, not pem", "convert it: openssl x509 -inform der -in FILE -out FILE.pem"},
	{Config, "encrypted with a passphrase", "use a key without a passphrase: openssl pkey -in FILE -out FILE.plain && chmod 600 FILE.plain"},
	{Config, "tls-key|no key in it", "set tls-key to the file with the certificate's key"},
	{Config, "is of another certificate", "set tls-key to the key that belongs to the certificate"},
	{Config, "client certificate|clock says", "get a new certificate, or correct the clock of this machine if it is wrong"},
	{Config, "5.1./5.7.", ownSender},

	{Credential, "client-secret: |file:|no such file/the password is empty", "write the provider's client secret into that file, and protect it: chmod 600 FILE"},
	{Credential, "client-secret: |keyring: ", `keep the provider's client secret in a file, and name it in the provider's table: client-secret = "file:/PATH"`},
	{Credential, "proxy-secret: |file:|no such file/the password is empty", "write the proxy's password into that file, and protect it: chmod 600 FILE"},
	{Credential, "proxy-secret: |keyring: ", `keep the proxy's password in a file, and name it: proxy-secret = "file:/PATH"`},
	{Credential, "account not saved|use --for cron", "log in to the desktop, whose session has a keyring, or give --for cron"},
	{Credential, "oauth2:|no refresh token is stored", "consent in the browser: sendoff --login ACCOUNT"},
	{Credential, "oauth2:|keyring: ", "keep the refresh token in a file: sendoff --login ACCOUNT --for cron"},
	{Credential, "oauth2:|returned no refresh token", "add that scope to scopes in the provider's table; for Google add access_type=offline to auth-url"},
	{Credential, "no d-bus session bus|belongs to uid", "the environment is another user's, as su and sudo -E leave it; begin a session of your own: sudo -i -u \"$(id -un)\""},
	{Credential, "no d-bus session bus", "this session has no keyring, as under cron; " + keepInFile},
	{Credential, "no keyring service", "start gnome-keyring or KeePassXC, or " + keepInFile},
	{Credential, "no default keyring", "log in to the desktop once, or create a default keyring: seahorse"},
	{Credential, "keyring: locked", "log in to the desktop, or run sendoff once at a terminal; for cron " + keepInFile},
	{Credential, "keyring: no answer", "the keyring service does not answer: log out of the desktop and in again"},
	{Credential, "closed the connection", "try again, and read the log of the keyring service: journalctl --user --since -1h"},
	{Credential, "too long for the keyring", keepInFile},
	{Credential, "this system has none", keepInFile},
	{Credential, "not finished after", "the command waits for something, perhaps a passphrase: run it by hand"},
	{Credential, "no such program", "write the full path of the program: the PATH of cron has only /usr/bin and /bin"},
	{Credential, "no account|as cron", "cron reads the configuration below ~/.config only: move the file there, or set SENDOFF_CONFIG in the crontab"},
	{Credential, "exit status|as cron", "cron's environment is nearly empty, so the command must work without yours; or " + keepInFile},
	{Credential, "exit status", "run the command by hand, as the same user"},
	{Credential, "can write it", "remove that right: chmod go-w FILE"},
	{Credential, "others can read it", "remove that right: chmod 600 FILE"},
	{Credential, "all users can read it", `let only your group read it: sudo chgrp "$(id -gn)" FILE && sudo chmod 640 FILE`},
	{Credential, "file:|belongs to uid", `in a container set secret = "command:cat PATH" or "env:NAME"; elsewhere give it to yourself: sudo chown "$(id -un)" FILE`},
	{Credential, "belongs to uid", `give it to yourself: sudo chown "$(id -un)" FILE`},
	{Credential, "account not saved|not a regular file", "give the password on standard input: --password-file -"},
	{Credential, "not a regular file", `read it with a command: secret = "command:cat PATH"`},
	{Credential, "file:|permission denied", "only its owner may read it: let root give your group that right, or create an account of your own: sendoff --setup"},
	{Credential, "systemd:|no such file", "systemd has not loaded that credential; add to the unit of the service: LoadCredential=NAME:PATH"},
	{Credential, "$credentials_directory|as cron", "only the service can read it; if cron is to send mail as well, " + keepInFile},
	{Credential, "no such variable|as cron", "only processes that are started with the variable have it; if cron is to send mail as well, " + keepInFile},
	{Credential, "no such variable", "start the process with that variable (a shell in a container may lack it), or " + keepInFile},
	{Credential, "$credentials_directory", "only the service that has LoadCredential=NAME:PATH in its unit can read it: sudo systemctl start sendoff.service"},
	{Credential, "command |the password is empty", "run the command by hand, as the same user: it must print the password"},
	{Credential, "systemd:smtp|the password is empty", "store the password: sudo sendoff --login ACCOUNT"},
	{Credential, "systemd:|the password is empty", "store the password in a credential: sudo systemd-creds encrypt - /etc/credstore.encrypted/NAME"},
	{Credential, "keyring: no password stored/open: no such file/the password is empty", storeIt},
	{Credential, "can store passwords only", `--login can store a password only in the keyring or a file: set secret = "keyring" or "file:/PATH"`},

	{Insecure, "in clear", `use TLS: smtps://HOST or smtp://HOST as server`},
	{Insecure, "who could read the secret", "if the program is yours (DavMail, stunnel, a bridge), set server-user to that user; otherwise see what has taken the port: sudo ss -tlnp"},
	{Insecure, "but with plain smtp", `the server may expect STARTTLS at this port: try smtp://HOST as server`},
	{Insecure, "does not answer with tls", `smtps:// begins with TLS (port 465); for STARTTLS (port 587) use smtp://HOST as server`},
	{Insecure, "starttls: the server does not offer it", `somebody on the way may have removed the offer; use TLS from the start: smtps://HOST as server`},
	{Insecure, "no protocol version from tls 1.2", "ask the server's administrator for TLS 1.2 or 1.3; try its other ports, 465 and 587"},
	{Insecure, "wants a client certificate", "set tls-cert and tls-key to the files that the server's administrator gave you"},
	{Insecure, "the client's certificate: expired", "get a new certificate for tls-cert from the server's administrator"},
	{Insecure, "the client's certificate", "set tls-cert to a certificate that the server accepts"},
	{Insecure, "only with classical key shares", "ask the administrator of the firewall, or of the server, to let a TLS handshake of two packets pass"},
	{Insecure, "the server says: handshake failure", "server and sendoff have no cipher in common, or the server wants a client certificate (tls-cert); for an old server: tls-legacy = true"},
	{Insecure, "the server says: insufficient security level/unconfigured cipher suite", "server and sendoff have no cipher in common; for an old server: tls-legacy = true"},
	{Insecure, "serial number is negative/negative serial number", "the server's administrator must renew it; until then compare the SHA-256 with them, and set tls-fingerprint to it"},
	{Insecure, "signature algorithm", "the server signs with SHA-1 or MD5, which prove nothing; its administrator must renew the certificate"},
	{Insecure, "the server says: unrecognized name", "the server does not know that name: check server, or set tls-name to the one it knows"},
	{Insecure, "not valid before", "is this machine's clock right? Compare it: date -u"},
	{Insecure, "in tls-ca: expired on", "put the new certificate of the authority into tls-ca, or correct the clock of this machine if it is wrong"},
	{Insecure, "in this system: expired on", "correct the clock of this machine if it is wrong, or update the CA bundle: sudo apt-get install ca-certificates"},
	{Insecure, "expired on", "the server's administrator must renew it, unless the clock of this machine is wrong"},
	{Insecure, "no certificate authorities on this system|ssl_cert_", "correct the variable, or remove it: unset SSL_CERT_FILE SSL_CERT_DIR"},
	{Insecure, "no certificate authorities on this system", "set tls-ca or SSL_CERT_FILE to a CA bundle, or install one: sudo apt-get install ca-certificates"},
	{Insecure, "self-signed", "is this the server you meant? If so, compare the SHA-256 with its administrator, and set tls-fingerprint to it"},
	{Insecure, "in tls-ca is another", "put the new certificate of the authority into tls-ca, once the server's administrator confirms the change"},
	{Insecure, "unknown authority|sends no certificate/which issued", "the server's administrator must add the intermediate certificate; until then, or for an authority of your own, set tls-ca"},
	{Insecure, "unknown authority", "is this the server you meant? For an authority of your own set tls-ca to its certificate"},
	{Insecure, "too weak to prove", "the server's administrator must renew that certificate"},
	{Insecure, "which is no authority/not signed by", "the server's administrator must install the right chain of certificates"},
	{Insecure, "may not sign for this name", "the server's administrator must get a certificate from another authority"},
	{Insecure, "not for servers (extended", "is this the server you meant? If so, its administrator must get a certificate for servers"},
	{Insecure, "it is for", "is this the server you meant? If so, use the name in the certificate as server, or set tls-name to that name"},
	{Insecure, "there must be a tls connection", `use TLS, with smtps://HOST as server, or remove -PLUS from auth`},
	{Insecure, "does not know the password/without proof", "is this the server you meant? It could not prove that it knows your password"},
	{Insecure, "iterations, fewer than", `the server's administrator must raise them; until then: auth = "PLAIN"`},
	{Insecure, "names no host", "only a name in the subjectAltName of the certificate counts (RFC 9525): the server's administrator must renew it"},
	{Insecure, "the fingerprint in tls-fingerprint", "if it was renewed, ask the server's administrator for the new fingerprint; if not, somebody may be intercepting the connection"},

	{NotAllowed, "(requiretls)", "send it without --require-tls: the connection to this server uses TLS all the same"},
	{NotAllowed, "(smtputf8)", "use an address in ASCII, or another server"},

	{AuthFailed, "auth xoauth2: |from command", "run the command by hand, as the same user: its token must be for the account's user and for SMTP, and must not have expired; at Microsoft, allow Authenticated SMTP for the mailbox"},
	{AuthFailed, "auth oauthbearer: |from command", "run the command by hand, as the same user: its token must be for the account's user and for SMTP, and must not have expired"},
	{AuthFailed, "auth xoauth2: ", "the token is for another user or scope, or has expired; at Microsoft, allow Authenticated SMTP for the mailbox"},
	{AuthFailed, "auth oauthbearer: ", "the token is for another user or scope, or has expired"},
	{AuthFailed, "is from oauth2:", "the token was sent as a password: remove auth from the account"},
	{AuthFailed, "oauth2:|invalid_grant/_required", "a refresh token ends when it is revoked or long unused, and after 7 days for a Google app in testing; consent again: sendoff --login ACCOUNT"},
	{AuthFailed, "oauth2:|_client", "check client-id and client-secret in the provider's table, [oauth2.NAME]"},
	{AuthFailed, "oauth2:|_scope", "check scopes in the provider's table, [oauth2.NAME], and what the registration allows"},
	{AuthFailed, "oauth2:", "the provider of access tokens said this: check its table, [oauth2.NAME], and the registration"},
	{AuthFailed, "5.7.8|gmail", googlePassword},
	{AuthFailed, "5.7.139", "Microsoft has disabled password login for this mailbox or tenant: use OAuth2 (man sendoff-oauth), or let its administrator allow SMTP AUTH"},
	{AuthFailed, "5.7.30", "Microsoft accepts no passwords here; use OAuth2: man sendoff-oauth"},
	{AuthFailed, "auth |the user is from --user", "check --user, and that the password belongs to that user"},
	{AuthFailed, "auth |the user is from sendoff_user", "check SENDOFF_USER, and that the password belongs to that user"},
	{AuthFailed, "auth |is from command", "run the command by hand, as the same user: it must print the password of the account's user"},
	{AuthFailed, "auth |is from systemd:smtp/is from file:", "check user, and renew the password: sudo sendoff --login ACCOUNT"},
	{AuthFailed, "auth |is from systemd:", "check user, and the password in the credential of systemd"},
	{AuthFailed, "no auth|it offers starttls", `the server allows a login only with TLS: use smtp://HOST as server`},
	{AuthFailed, "no auth", "is it the right port, 465 or 587? If the server requires no login, remove user from the account"},
	{AuthFailed, "account not saved|auth ", "check --user and the password; many providers require an app password"},
	{AuthFailed, "auth scram-", `check user; if the password is right, the server has no SCRAM keys for this user (set auth = "PLAIN", with TLS); otherwise store it again: sendoff --login ACCOUNT`},
	{AuthFailed, "auth ", storeAgain},

	{Connection, "oauth2:", "this is the provider of access tokens: does the way there need a proxy (HTTPS_PROXY)?"},
	{Connection, "look up|.local: ", "sendoff does not use multicast DNS, which names in .local need: put the server's IP address and its name into /etc/hosts, or set tls-name to the name and server to the address"},
	{Connection, "no such host", "check the name of the server, and the network"},
	{Connection, "name server|does not answer", "is there a network, and is it the right name server? See it: cat /etc/resolv.conf"},
	{Connection, "name server|refuses to answer", "is it the right name server, and does it run? See it: cat /etc/resolv.conf"},
	{Connection, "name server|cannot be reached", "is there a network? See the routes: ip route"},
	{Connection, "name server|may not be asked", "a firewall, or the sandbox of the service, forbids it: allow connections to that name server"},
	{Connection, "name server", "try again later, or name another name server in /etc/resolv.conf"},
	{Connection, "connect to the proxy", "check that the proxy runs, and that the setting proxy has its address"},
	{Connection, "by the proxy|no acceptable authentication methods", `the proxy requires a login: set proxy = "socks5://USER@HOST:PORT", and proxy-secret to the source of its password`},
	{Connection, "by the proxy|authentication failed", "the proxy refuses the login: check the user in proxy, and the password that proxy-secret names"},
	{Connection, "by the proxy", "the proxy said this: check the name and the port of the server, and what the proxy allows"},
	{Connection, "connect to|submit.sock|no such file/refused", "see why the service does not run: systemctl status sendoff.socket sendoff.service"},
	{Connection, "connect to|.sock|refused", "does the service that listens there run?"},
	{Connection, "connect to|no such file", "does the service that listens there run?"},
	{Connection, "no such program", "write the full path of the program: the PATH of cron has only /usr/bin and /bin"},
	{Connection, "connect to|:465|refused", `is it the right port? Try smtp://HOST as server, which is port 587`},
	{Connection, "connect to|:465", `port 465 is blocked on many networks; try smtp://HOST as server, which is port 587`},
	{Connection, "connect to|:25:/:25 at ", `port 25 is blocked on most networks; try smtps://HOST or smtp://HOST as server`},
	{Connection, "connect to", "check server and port, and whether a firewall blocks the connection"},
	{Connection, "tls: |:587)", `port 587 begins without TLS: use smtp://HOST as server`},
	{Connection, "tls: |:25)", `port 25 begins without TLS: use smtp://HOST:25 as server`},
	{Connection, "broke off the handshake/in the handshake", "a firewall may block TLS there: check server and port, and try another network"},
	{Connection, "shaking hands for tls", "a firewall may block TLS there: check server and port, and try another network; for a slow network set a longer timeout"},
	{Connection, "while waiting for the greeting|submit.sock", "see why the service does not answer: systemctl status sendoff.service"},
	{Connection, "while waiting for the greeting|.sock", "does the service that listens there run?"},
	{Connection, "while waiting for the greeting|:465)", `port 465 is for TLS from the start: use smtps://HOST as server`},
	{Connection, "while waiting for the greeting", `the server may wait for TLS: try smtps://HOST as server; for a slow server set a longer timeout`},
	{Connection, "not ready for mail within", "the server or the network is slow: set a longer timeout, or try another network"},
	{Connection, "not smtp", "no mail server answers there: check server and port"},
}

// Remedies of several rows; HintFor knows the first two.
const (
	storeIt        = "store the password: sendoff --login ACCOUNT"
	keepInFile     = "keep the password in a file: sendoff --login ACCOUNT --for cron"
	storeAgain     = "check user, and store the password again: sendoff --login ACCOUNT"
	googlePassword = "Google requires an app password; make one at https://myaccount.google.com/apppasswords, and store it: sendoff --login ACCOUNT"
)

// Hint returns what a person can do about err, in a line without a full stop; "" if
// nothing is known. ACCOUNT in it stands for the account's name.
func Hint(err error) string {
	text := strings.ToLower(err.Error())
	kind := KindOf(err)
	return fill(find(err, kind, text), err.Error())
}

// find looks a hint up: first in replies, for what a server has answered, and then in
// hints.
func find(err error, kind Kind, text string) string {
	var refusal interface {
		error
		Whole() string // the end of a long reply says what to do
	}
	said := text
	if errors.As(err, &refusal) {
		said = strings.ToLower(refusal.Error()) // err may also have the answers of other servers
	}
	if a, ok := answerIn(said); ok {
		if refusal != nil {
			a.words += " " + strings.ToLower(refusal.Whole())
		}
		hint, ok := replyHint(a)
		switch {
		case ok && hint == otherSender && kind == Config:
			return ownSender
		case ok:
			return hint
		}
	}
	for _, row := range hints {
		if row.kind == kind && holds(text, row.words) {
			return row.hint
		}
	}
	return ""
}

// HintFor is Hint with the account's name in place of ACCOUNT, and with its server where
// err names none; "": the server is unknown. For the account without a name, which no file
// defines, it leaves out commands that would change the account.
func HintFor(err error, account, server string) string {
	hint := Hint(err)
	if server = inURL(hostOf(server)); server != "" {
		hint = strings.ReplaceAll(hint, "://HOST", server)
	}
	if account != "" {
		return strings.ReplaceAll(hint, "ACCOUNT", account)
	}
	if hint == storeIt {
		return ""
	}
	hint = strings.Replace(hint, keepInFile, "keep the password in a file: SENDOFF_SECRET=file:/PATH, or --secret file:/PATH", 1)
	hint, _, _ = strings.Cut(strings.Replace(hint, ": sudo sendoff", ": sendoff", 1), ": sendoff --login ACCOUNT")
	return hint
}

// HintToAsk is Hint for a person who is about to be asked for the password again: it has no
// command that stores the password.
func HintToAsk(err error) string {
	hint := Hint(err)
	if hint == storeAgain {
		return "check the user name, and type the password again; many providers require an app password"
	}
	if text, _, stores := strings.Cut(hint, ": sendoff --login ACCOUNT"); stores {
		return strings.ReplaceAll(text, "store ", "type ")
	}
	return hint
}

// holds reports whether text holds all the words between bars, or one of those between
// slashes, none of them as the end of a longer word: XOAUTH2: does not hold oauth2:, nor
// AADSTS53500 the word 535.
func holds(text, words string) bool {
	for either := range strings.SplitSeq(words, "|") {
		if !slices.ContainsFunc(strings.Split(either, "/"), func(word string) bool { return has(text, word) }) {
			return false
		}
	}
	return true
}

func has(text, word string) bool {
	for i := range text {
		if strings.HasPrefix(text[i:], word) && (i == 0 || !isAlnum(text[i-1]) || !isAlnum(word[0])) {
			return true
		}
	}
	return word == ""
}

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
