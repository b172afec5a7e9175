package rehearse

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/config/setup"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/rewrite"
	"sendoff/submit/smarthost"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// Try opens a session with the account of t, as a delivery does. If t has a mail, Try sends
// it, and never queues it; otherwise Try describes the server. A nil error says that the
// server has accepted the login and the mail.
func Try(ctx context.Context, s *submit.Submitter, t setup.Trial) (setup.Seen, error) {
	c := config.Default()
	c.Hostname, c.Accounts, c.Providers = s.Config.Hostname, []*config.Account{t.Account}, s.Config.Providers
	a, why, err := c.Choose(config.Choice{})
	if err != nil {
		return setup.Seen{}, err
	}
	apart := s.Apart()
	apart.Config, apart.Spool.NoQueue = c, "a trial is not kept"
	if !t.Secret.IsZero() {
		a.Secret = nil // the default: the keyring
		apart.Smarthosts.Secrets.Store = &credential.Store{Keyring: credential.OneSecret{Secret: t.Secret}}
	}
	if t.Mail == "" {
		return meet(ctx, apart, a)
	}
	m, err := message.Read(strings.NewReader(t.Mail), message.Options{})
	if err != nil {
		return setup.Seen{}, err
	}
	defer m.Close()
	to := submit.Wanted{Recipient: envelope.Recipient{Address: t.To}, Origin: "the trial", NoAliases: true}
	return setup.Seen{}, apart.Submit(ctx, &submit.Request{Account: a, Why: why, Sender: &t.To, To: []submit.Wanted{to}, Message: m})
}

// meet opens a session, describes the server, and closes the session.
func meet(ctx context.Context, s *submit.Submitter, a *config.Account) (setup.Seen, error) {
	own, _ := a.Address()
	session, h, err := s.Pool().Open(ctx, a, rewrite.New(s.Config, s.Identity, a).HelloName(own), smarthost.Options{})
	if err != nil {
		return setup.Seen{}, err
	}
	seen := describe(h, session.Server())
	return seen, session.Close()
}

// describe returns what a person wants to know of a server. A server with TLS has a
// certificate that was verified.
func describe(h dial.Hop, server smtp.Server) setup.Seen {
	lines := []string{"connected to " + h.String() + ", without TLS"}
	if cs := server.TLS; cs != nil {
		leaf := cs.PeerCertificates[0]
		days := int(time.Until(leaf.NotAfter).Hours() / 24)
		issuer := leaf.Issuer.CommonName
		if issuer == "" {
			issuer = strings.Join(leaf.Issuer.Organization, ", ")
		}
		lines = []string{
			"connected to " + h.String() + " with " + tls.VersionName(cs.Version),
			fmt.Sprintf("its certificate is good for %s, issued by %q, until %s (%d days)", h.Prove, status.Line(issuer, 100), leaf.NotAfter.Format(time.DateOnly), days),
		}
	}
	logins := "it offers no login"
	if len(server.Mechanisms) > 0 {
		logins = "it offers the login mechanisms " + strings.Join(server.Mechanisms, ", ")
	}
	return setup.Seen{Lines: append(lines, logins), Mechanisms: server.Mechanisms}
}
