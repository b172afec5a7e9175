package cmdline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/status"
)

// msmtp has the options of msmtp that sendoff lacks, and of mail(1) and the like, and what
// to do instead. The forms in a row are separated by spaces.
var msmtp = [...]struct{ forms, instead string }{
	{"--configure", "use --setup ADDRESS"},
	{"--serverinfo -S", "use --doctor"},
	{"--pretend -P", "use --dry-run"},
	{"--debug", "use --verbose"},
	{"--rmqs", "sendoff only sends mail"},

	{"--host --port", "use --server smtps://HOST:PORT or smtp://HOST:PORT (STARTTLS)"},
	{"--tls --tls-starttls", "use --server smtps://HOST (TLS) or smtp://HOST (STARTTLS)"},
	{"--socket", "use --server unix:PATH"},
	{"--protocol", "use --server lmtp://HOST for LMTP"},
	{"--proxy-host --proxy-port", `set proxy = "socks5://HOST:PORT" in the configuration`},
	{"--source-ip", `set source-address = "ADDRESS" in the configuration`},
	{"--timeout", `set timeout = "60s" in the configuration`},
	{"--domain", `set hostname = "HOST.DOMAIN" in the configuration`},

	{"--auth", `use --user NAME; to name a mechanism set auth in the configuration`},
	{"--passwordeval", "use --secret command:COMMAND"},

	{"--tls-trust-file", `set tls-ca = "FILE" in the configuration`},
	{"--tls-fingerprint", `set tls-fingerprint = "SHA256" in the configuration`},
	{"--tls-certcheck", "a self-signed certificate needs tls-fingerprint"},
	{"--tls-key-file", `set tls-key = "FILE" in the configuration`},
	{"--tls-cert-file", `set tls-cert = "FILE" in the configuration`},
	{"--tls-host-override", `set tls-name = "HOST" in the configuration`},
	{"--tls-crl-file", "sendoff does not read revocation lists"},
	{"--tls-priorities --tls-min-dh-prime-bits --tls-force-sslv3", "sendoff chooses the TLS parameters itself"},

	{"--auto-from", "use -f ADDRESS"},
	{"--maildomain", `set domain = "DOMAIN" in the configuration`},
	{"--dsn-notify", "use -N EVENTS"},
	{"--dsn-return", "use -R full, or -R hdrs"},
	{"--logfile", `set log = "FILE" in the configuration`},
	{"--logfile-time-format", "the time format of sendoff's log is fixed"},
	{"--syslog", `set log = "syslog" in the configuration`},
	{"--aliases", `set aliases = "FILE" in the configuration`},
	{"--set-from-header", "sendoff adds a missing From; force-sender replaces it"},
	{"--set-date-header --set-msgid-header --add-missing-from-header --add-missing-date-header",
		"sendoff adds missing From, Date and Message-ID"},
	{"--remove-bcc-headers --keepbcc", "sendoff always removes Bcc"},
	{"--undisclosed-recipients", "sendoff removes Bcc, and keeps To and Cc"},

	{"--to --recipient", "write the recipients last, after all options"},
	{"--message --text", "standard input is the text"},
	{"--html --content-type --header", "write a header with Content-Type, and use -t"},
}

// suggest adds a proposal to the error of an unknown option. For an option of msmtp it
// returns an error with the replacement.
func suggest(err error) error {
	var word unknown
	var letter invalid
	form := ""
	switch {
	case errors.As(err, &word):
		form = "--" + string(word)
	case errors.As(err, &letter):
		form = "-" + string(letter)
	default:
		return err
	}
	for _, m := range msmtp {
		if slices.Contains(strings.Fields(m.forms), form) {
			return status.Usage.Errorf("%s is not supported; %s", legible(form), m.instead)
		}
	}
	var known []string
	for f := range Flags() {
		known = append(known, f.Long)
	}
	if near := status.Nearest(string(word), known); word != "" && near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}
