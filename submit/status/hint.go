package status

import (
	"errors"
	"slices"
	"strings"
)

// hints is the table of remedies: for an error of a kind whose text holds all
// the words between bars, or one of those between slashes, in any case. The first row
// that fits counts. ACCOUNT
// stands for the account's name, FILE for the file that the error names. A new hint
// is a row here; its words are in lower case, and stand in a literal of the code that
// makes the error, or in othersWords of the test that holds that.
var hints = [...]struct {
	kind  Kind
	words string
	hint  string
}{
	{Usage, "--queue-run sends nothing", "an interval follows an equals sign: --queue-run=5m"},
	{Usage, "must come first/must come before recipients/is not allowed under the name/sends nothing, so it", `see "Untrusted arguments" in sendoff(1)`},
	{Usage, "option/no recipients; give", "see sendoff --help"},
	{Usage, "white space inside the address", "separate addresses by commas, and put a name with a comma in quotes, as in \"Doe, Ann\" <ann@example.org>"},

	{Data, "header too long", "is there an empty line between header and body?"},
	{Data, "nul", "a NUL can only be sent in base64"},
	{Data, "white space inside the address", "separate addresses by commas, and put a name with a comma in quotes, as in \"Doe, Ann\" <ann@example.org>"},
	{TooBig, "", "send a link to it instead, or split it"},
	{NoInput, "--attach|no such file", "check the path; without a slash at its start it begins in the current folder"},
	{NoInput, "--attach|permission denied", "only those who may read the file can attach it: ls -l shows who"},
	{NoInput, "--attach|is a folder", "attach an archive of the folder: tar -czf NAME.tar.gz NAME"},
	{NoInput, "--attach|became shorter", "send it again when no program writes to the file"},
	{NoInput, "reading the message", "the program that wrote the message stopped before its end"},
	{Temporary, "cannot keep a large message", "set TMPDIR to a folder that has space"},
	{Temporary, "no queue, so", "set queue to a folder that is yours; root makes one for each user with sendoff --make-spool"},
	{Temporary, "; the queue is in", "mend that folder, or remove it"},
	{Temporary, "can be queued|full", "mailq shows what waits, sendoff -q tries it now; queue-limit is the ceiling"},
	{Temporary, "can be queued", "make the folder yours and writable, on a disk that has space"},
	{Temporary, "runs the queue:", "run \"sendoff --queue-run=5m\" from a timer every 5 minutes, or set runner = \"on\" (SENDOFF_RUNNER=on) if a process does outlive its caller here"},
	{Temporary, "but no timer runs the queue", "run \"sendoff --queue-run=5m\" from a timer every 5 minutes"},
	{Temporary, "there is no timer", "root makes one with sendoff --make-spool"},
	{Temporary, "the oldest for", "mailq says why it waits, and sendoff -q tries it now"},
	{Temporary, "given up", "mailq -v lists all; sendoff --queue-show ID prints one, --queue-retry ID tries it again, --queue-delete ID removes it"},
	{Temporary, "is another program", "remove its package, then link it: sudo ln -s /usr/local/bin/sendoff /usr/sbin/sendmail"},
	{Temporary, "not there, so cron", "link it: sudo ln -s /usr/local/bin/sendoff /usr/sbin/sendmail"},

	{Config, "no account configured", "run sendoff --setup to create one; in a container set SENDOFF_SERVER; to try without an account: --rehearse"},
	{Config, "no default account", `set account = "NAME" at the top of the configuration, or use --account`},
	{Usage, "which others could replace", "install it for root alone: sudo install -m 755 sendoff /usr/local/bin/sendoff, and run that"},
	{Temporary, "root's session keyring", "allow keyctl in the seccomp profile of this container, or run \"sendoff --queue-run=5m\" as each user"},
	{Config, "runs set-uid", "take the rights away: chmod ug-s PROGRAM, setcap -r PROGRAM; for one password of many users see --listen"},
	{Config, "can write it", "take that right away: chmod go-w FILE"},
	{Config, "others cannot read it", "whoever cannot read it cannot send: chmod a+r FILE"},
	{Config, "others cannot enter it", "whoever cannot read it cannot send: chmod a+rx FILE"},
	{Config, ".toml: permission denied", "its owner has to let you read it (chmod a+r FILE) and enter the folders above it (chmod a+x)"},
	{Config, "it belongs to uid", "give it to root, or to yourself: sudo chown root FILE"},
	{Config, "aliases: |no such file", `write the file, or set aliases = "off"`},
	{Config, "the configuration has no [oauth2.", "register sendoff with the provider; see Provider settings in sendoff.toml(5)"},
	{Config, "account not saved|cannot be written to", "do it as the user whose file it is, or name one of your own with --config"},
	{Config, "cannot be written to", "do it as the user whose file it is, or make an account of your own in its place: sendoff --setup --account ACCOUNT"},
	{Config, "unknown key", "sendoff.toml(5) lists the settings"},
	{Config, "has no server", `add server = "smtps://HOST"`},
	{Config, "byte order mark", "save the file as UTF-8 without one"},
	{Config, "account allows", "change the account's auth, or leave it out"},
	{Config, "takes only oauth2 tokens", `use secret = "oauth2:NAME", see Provider settings in sendoff.toml(5); if the secret is a token, name the mechanism in auth`},
	{Config, "must be a token", "name the mechanism: auth = \"XOAUTH2\" or \"OAUTHBEARER\", with a token as the secret"},
	{Config, "must be a password", "this server takes no token: set secret to where a password is kept, such as keyring or file:PATH"},
	{Config, "tls and a client certificate", "set tls-cert, and tls-key"},
	{Config, "the secret is not a token", "get a new token where the secret comes from"},
	{Config, "no certificate in it", "a PEM file has lines with BEGIN CERTIFICATE and END CERTIFICATE"},
	{Config, "is der, not pem", "convert it: openssl x509 -inform der -in FILE -out FILE.pem"},
	{Config, "encrypted with a passphrase", "nobody is there to give it: openssl pkey -in FILE -out FILE.plain && chmod 600 FILE.plain"},
	{Config, "tls-key|no key in it", "set tls-key to the file with the certificate's key"},
	{Config, "is of another certificate", "set tls-key to the key that the certificate was made with"},
	{Config, "client certificate|clock says", "get a new one, or set this machine's clock, if it is wrong"},
	{Config, "mail for root", "set the account's from, or give root an alias"},
	{Config, "5.1./5.7.", ownSender},

	{Credential, "client-secret: |file:|no such file/the secret is empty", "write the provider's client secret into that file, mode 600"},
	{Credential, "client-secret: |keyring: ", "keep the provider's client secret in a file, and name that in client-secret of the provider's table"},
	{Credential, "proxy-secret: |file:|no such file/the secret is empty", "write the proxy's password into that file, mode 600"},
	{Credential, "proxy-secret: |keyring: ", "keep the proxy's password in a file, and name that in proxy-secret: file:/PATH"},
	{Credential, "oauth2:|keyring: ", "keep the refresh token in a file, by sendoff --login ACCOUNT --for cron (or service)"},
	{Credential, "oauth2:|gives no refresh token", "add that scope to scopes in the provider's table; at Google auth-url asks for it with access_type=offline"},
	{Credential, "no d-bus session bus|belongs to uid", "the environment is another user's, as su and sudo -E leave it: begin a session of your own (su -, sudo -i)"},
	{Credential, "no d-bus session bus", "this session has no keyring, as under cron: keep the secret in a file, by sendoff --login ACCOUNT --for cron"},
	{Credential, "no keyring service", `start gnome-keyring or KeePassXC, or use secret = "file:…" or "command:…"`},
	{Credential, "no default keyring", "log in to the desktop once, or make a default keyring with seahorse"},
	{Credential, "keyring: locked", "log in to the desktop, or run sendoff once in a terminal; for cron keep the secret in a file, by sendoff --login ACCOUNT --for cron"},
	{Credential, "keyring: no answer", "the keyring service hangs: restart it"},
	{Credential, "the service broke off", "try again, and look into the keyring service's log"},
	{Credential, "too long for it", `use secret = "file:…"`},
	{Credential, "none on this system", `use secret = "command:…" or "file:…"`},
	{Credential, "not finished after", "the command waits for something, a passphrase perhaps: run it by hand"},
	{Credential, "no such program", "write the program's full path: cron's PATH is short"},
	{Credential, "no account|as cron", "cron looks below ~/.config only: move the configuration there, or set SENDOFF_CONFIG in the crontab"},
	{Credential, "exit status|as cron", `cron's environment is nearly empty: let the command do without yours, or use secret = "file:…"`},
	{Credential, "exit status", "run the command by hand, as the same user"},
	{Credential, "others can read it/can write it", "take that right away: chmod 600 FILE"},
	{Credential, "file:|belongs to uid", `give it to yourself: sudo chown "$(id -un)" FILE; in a container, where it has the owner that it has on the host: secret = "command:cat PATH", or env:NAME`},
	{Credential, "belongs to uid", `give it to yourself: sudo chown "$(id -un)" FILE`},
	{Credential, "not a regular file", `use secret = "command:cat PATH"`},
	{Credential, "file:|permission denied", "it is for its owner: let your group read it, or have an account of your own: sendoff --setup"},
	{Credential, "systemd:|no such file", "systemd has not loaded that credential: add LoadCredential=NAME:PATH to the service's unit, with the name of the secret"},
	{Credential, "$credentials_directory|as cron", "only the service has it; if cron is to send too, keep it in a file as well, by sendoff --login ACCOUNT --for cron"},
	{Credential, "no such variable|as cron", "only processes that are started with it have it; if cron is to send too, keep it in a file as well, by sendoff --login ACCOUNT --for cron"},
	{Credential, "no such variable", "start the process with that variable, as the container's first one is (a shell in the container may lack it), or keep the secret in a file: file:PATH"},
	{Credential, "$credentials_directory", "add LoadCredential= to the service's unit"},
	{Credential, "command |the secret is empty", "run the command by hand, as the same user: it has to print the secret"},
	{Credential, "systemd:|the secret is empty", "give systemd the secret, by systemd-creds encrypt"},
	{Credential, "keyring: no password stored/open: no such file/the secret is empty", "store it: sendoff --login ACCOUNT"},
	{Credential, "cannot be written", `set secret = "keyring" or "file:…" to store it with --login`},

	{Insecure, "no tls: everybody/in clear", "use smtps:// or smtp:// as server"},
	{Insecure, "who could read the secret", "if that user's program is meant (DavMail, stunnel, a bridge), set server-user to the user; otherwise find out what has taken the port"},
	{Insecure, "does not tell whose port", "no port below 1024 can be another user's: use one, or a Unix socket, or TLS"},
	{Insecure, "but with plain smtp", "the server speaks STARTTLS there, perhaps: try smtp://HOST as server"},
	{Insecure, "does not answer with tls", "smtps:// speaks TLS from the start, mostly on port 465; for STARTTLS, mostly on 587, use smtp://"},
	{Insecure, "starttls: the server does not offer it", "use smtps:// with port 465, or ask who runs the server; somebody may also have removed the offer on the way"},
	{Insecure, "no protocol version from tls 1.2", "whoever runs the server has to let it speak TLS 1.2 or 1.3; try its other ports, 465 and 587"},
	{Insecure, "wants a client certificate", "set tls-cert, and tls-key, to the ones that whoever runs the server gave you"},
	{Insecure, "the client's certificate: expired", "get a new certificate for tls-cert from whoever runs the server"},
	{Insecure, "the client's certificate", "set tls-cert to one that the server knows; without it, the server may want one"},
	{Insecure, "only with classical key shares", "whoever runs the firewall, or the server, has to let a TLS handshake of two packets pass"},
	{Insecure, "the server says: handshake failure", "server and sendoff have no cipher in common, or the server wants a client certificate: see tls-cert; for an old server set tls-legacy = true"},
	{Insecure, "the server says: insufficient security level/unconfigured cipher suite", "server and sendoff have no cipher in common; for an old server set tls-legacy = true"},
	{Insecure, "serial number is negative/negative serial number", "whoever runs the server has to renew it; until then compare the SHA-256 with them, and set tls-fingerprint to it"},
	{Insecure, "signature algorithm", "the server signs with SHA-1 or MD5, which prove nothing: whoever runs it has to renew it"},
	{Insecure, "the server says: unrecognized name", "the server does not know that name: check server, or set tls-name to the one it knows"},
	{Insecure, "not valid before", "is this machine's clock right? If so, whoever runs the server put the certificate to use too early"},
	{Insecure, "in tls-ca: expired on", "put the authority's new certificate into tls-ca, or set this machine's clock, if it is wrong"},
	{Insecure, "in this system: expired on", "update the system's CA bundle (package ca-certificates), or set this machine's clock, if it is wrong"},
	{Insecure, "expires soon", "whoever runs the server has to renew it before that day"},
	{Insecure, "expired on", "whoever runs the server has to renew it, unless this machine's clock is wrong"},
	{Insecure, "no certificate authorities on this system|ssl_cert_", "correct that variable, or unset it"},
	{Insecure, "no certificate authorities on this system", "install the CA bundle (package ca-certificates), copy one into the container, or set SSL_CERT_FILE or tls-ca"},
	{Insecure, "signed by itself", "is this the server you meant? If so, compare the SHA-256 with whoever runs it, and set tls-fingerprint to it"},
	{Insecure, "in tls-ca is another", "put the authority's new certificate into tls-ca, once whoever runs the server confirms that it has changed"},
	{Insecure, "unknown authority|sends no certificate/which issued", "whoever runs the server has to add the intermediate certificate; until then, or for an authority of your own, set tls-ca"},
	{Insecure, "unknown authority", "is this the server you meant? For an authority of your own set tls-ca to its certificate"},
	{Insecure, "too weak to prove", "whoever runs the server has to renew that certificate"},
	{Insecure, "which is no authority/not signed by", "whoever runs the server has to install the right chain of certificates"},
	{Insecure, "may not sign for this name", "whoever runs the server has to get a certificate from another authority"},
	{Insecure, "not for servers (extended", "is this the server you meant? If so, it needs a certificate for servers"},
	{Insecure, "it is for", "is this the server you meant? If so, write the name as the certificate has it, or set tls-name to one that you know to be its own"},
	{Insecure, "there must be a tls connection", "use smtps:// or smtp:// as server, or leave out -PLUS from auth"},
	{Insecure, "does not know the password/without proof", "is this the server you meant? It could not prove that it knows your password"},
	{Insecure, "iterations, fewer than", "whoever runs the server has to raise them, or set auth = \"PLAIN\""},
	{Insecure, "names no host", "only a name in the certificate's subjectAltName counts (RFC 9525): whoever runs the server has to renew it"},
	{Insecure, "the fingerprint in tls-fingerprint", "if it was renewed, ask whoever runs the server for the new fingerprint; if not, somebody stands between you and the server"},

	{NotAllowed, "(requiretls)", "without --require-tls the mail goes, over TLS as far as this server"},
	{NotAllowed, "(smtputf8)", "the address has to be one in ASCII, or the server another"},

	{AuthFailed, "auth xoauth2: |from command", "run the command by hand, as the same user: its token has to be of the account's user, for SMTP, and not expired; at Microsoft, Authenticated SMTP has to be on for the mailbox"},
	{AuthFailed, "auth oauthbearer: |from command", "run the command by hand, as the same user: its token has to be of the account's user, for SMTP, and not expired"},
	{AuthFailed, "auth xoauth2: ", "the token is of another user or scope, or has expired; at Microsoft, Authenticated SMTP has to be on for the mailbox"},
	{AuthFailed, "auth oauthbearer: ", "the token is of another user or scope, or has expired"},
	{AuthFailed, "is from oauth2:", "the token was sent as a password: leave out the account's auth"},
	{AuthFailed, "run sendoff --login", "a refresh token ends when it is revoked, or long unused; Google ends those of an app in testing after 7 days"},
	{AuthFailed, "oauth2:|_client", "check client-id and client-secret in the provider's table, [oauth2.NAME]"},
	{AuthFailed, "oauth2:|_scope", "check scopes in the provider's table, [oauth2.NAME], and what the registration allows"},
	{AuthFailed, "oauth2:", "that is what the provider of access tokens says: check its table, [oauth2.NAME], and the registration"},
	{AuthFailed, "5.7.8|gmail", "Google wants an app password: myaccount.google.com/apppasswords"},
	{AuthFailed, "5.7.139", "Microsoft has switched password login off for this mailbox or tenant; its administrator can allow SMTP AUTH"},
	{AuthFailed, "5.7.30", "Microsoft no longer takes passwords here; it wants OAuth2"},
	{AuthFailed, "auth |the user is from --user", "check --user, and that the secret is that user's"},
	{AuthFailed, "auth |the user is from sendoff_user", "check SENDOFF_USER, and that the secret is that user's"},
	{AuthFailed, "auth |is from command", "run the command by hand, as the same user: it has to print the password of the account's user"},
	{AuthFailed, "auth |is from systemd:", "check user, and give systemd the right password"},
	{AuthFailed, "no auth|it offers starttls", `the server lets nobody log in without TLS: use smtp://HOST as server`},
	{AuthFailed, "no auth", "is it the right port, 465 or 587? If the server wants no login, leave out user"},
	{AuthFailed, "account not saved|auth ", "check --user and the password; many providers want one that they make for a program"},
	{AuthFailed, "auth scram-", `check user, and store the password anew: sendoff --login ACCOUNT; if it is right, the server has no SCRAM keys of this user: set auth = "PLAIN", with TLS`},
	{AuthFailed, "auth ", "check user, and store the password anew: sendoff --login ACCOUNT"},

	{Connection, "oauth2:", "that is the provider of access tokens: is it reached from here, perhaps by a proxy (HTTPS_PROXY)?"},
	{Connection, "look up|.local: ", "names in .local are found by multicast DNS, which sendoff does not speak: write the server's IP address, and its name in tls-name, or put both into /etc/hosts"},
	{Connection, "no such host", "check the server's name, and the network"},
	{Connection, "name server|does not answer", "is there a network, and is it the right name server? See /etc/resolv.conf"},
	{Connection, "name server|refuses to answer", "is it the right name server, and is it running? See /etc/resolv.conf"},
	{Connection, "name server|cannot be reached", "is there a network?"},
	{Connection, "name server|may not be asked", "a firewall, or the sandbox of the service, forbids it: allow questions to that name server"},
	{Connection, "name server", "try again later, or name another name server in /etc/resolv.conf"},
	{Connection, "got stuck there", "large packets may get lost on the way: let ICMP pass, lower the MTU, or set address-family"},
	{Connection, "connect to the proxy", "check that the proxy runs, and that the account's proxy has its address"},
	{Connection, "by the proxy|no acceptable authentication methods", `the proxy requires a login: set proxy = "socks5://USER@HOST:PORT", and proxy-secret to where its password is`},
	{Connection, "by the proxy|authentication failed", "the proxy refuses the login: check the user in proxy, and the password that proxy-secret names"},
	{Connection, "by the proxy", "that is what the proxy says: check the server's name and port, and what the proxy allows"},
	{Connection, "connect to|no such file", "is the service that listens there running?"},
	{Connection, "no such program", "write the program's full path: cron's PATH is short"},
	{Connection, "connect to|:465|refused", `is it the right port? Try smtp://HOST as server, which is port 587`},
	{Connection, "connect to|:465", `port 465 is blocked on many networks; try smtp://HOST as server, which is port 587`},
	{Connection, "connect to|:25:/:25 at ", `port 25 is blocked on most networks; try smtps://HOST or smtp://HOST as server`},
	{Connection, "connect to", "check server and port, and whether a firewall is in the way"},
	{Connection, "tls: |:587)", `port 587 begins without TLS: use smtp://HOST as server`},
	{Connection, "tls: |:25)", `port 25 begins without TLS: use smtp://HOST:25 as server`},
	{Connection, "broke off the handshake/in the handshake", "a firewall may forbid TLS there: check server and port, and try another network"},
	{Connection, "shaking hands for tls", "a firewall may hold TLS back there: check server and port, and try another network; one that is slow needs a longer timeout"},
	{Connection, "while waiting for the greeting|:465)", `port 465 is for TLS from the start: use smtps://HOST as server`},
	{Connection, "while waiting for the greeting", `a server that waits for TLS says nothing: try smtps://HOST as server; one that is slow needs a longer timeout`},
	{Connection, "not ready for mail within", "the server or the network is slow: set a longer timeout, or try another network"},
	{Connection, "not smtp", "something other than a mail server answers there: check server and port"},
}

// Hint returns what a person can do about err, in a line without a full stop; "" if
// nothing is known. ACCOUNT in it stands for the account's name.
func Hint(err error) string {
	text := strings.ToLower(err.Error())
	kind := KindOf(err)
	hint := find(err, kind, text)
	if path := pathIn(err.Error()); path != "" {
		hint = strings.ReplaceAll(hint, "FILE", path)
	}
	return hint
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

// HintFor is Hint with the account's name in place of ACCOUNT. For the account without
// a name, which no file defines, it leaves out commands that would change the account.
func HintFor(err error, account string) string {
	hint := Hint(err)
	if account != "" {
		return strings.ReplaceAll(hint, "ACCOUNT", account)
	}
	hint, _, _ = strings.Cut(hint, ", by sendoff --login")
	if strings.HasSuffix(hint, "keep the secret in a file") {
		return hint + ": SENDOFF_SECRET=file:/PATH, or --secret file:/PATH"
	}
	if strings.Contains(hint, "--login ACCOUNT") {
		return ""
	}
	return hint
}

// pathIn returns the last path in text that a colon and a space follow, quoted for a
// shell; "" if there is none, or if it cannot be quoted simply.
func pathIn(text string) (path string) {
	for i := range text {
		at, begins := text[i:], i == 0 || text[i-1] == ':' || text[i-1] == ' '
		if !begins || !strings.HasPrefix(at, "/") && !strings.HasPrefix(at, "~/") || strings.HasPrefix(at, "//") {
			continue
		}
		if word, _, ends := strings.Cut(at, ": "); ends {
			path = word
		}
	}
	plain := func(r rune) bool { return r < 0x80 && (isAlnum(byte(r|0x20)) || strings.ContainsRune("/~._-+@", r)) }
	rest, home := strings.CutPrefix(path, "~/")
	switch {
	case strings.ContainsAny(path, "'\n"):
		return ""
	case strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0:
		return path
	case home:
		return "~/'" + rest + "'"
	}
	return "'" + path + "'"
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
