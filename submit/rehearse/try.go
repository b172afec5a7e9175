package rehearse

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"sendoff/config"
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

// A Trial is an account that has to prove itself before it is in any
// configuration.
type Trial struct {
	Account *config.Account   // without a User, there is no login
	Secret  credential.Secret // if not zero, in place of what the account's source gives
	To      envelope.Address
	Mail    string // a message for To; "": the session ends without one
}

// Seen is what a server has shown of itself.
type Seen struct {
	Lines      []string // for a person to read: the connection, the certificate, the logins it offers
	Mechanisms []string // for a login, in upper case
}

// Try opens a session with the account of t over the same way as a delivery, and
// sends the mail of t in it, which is never queued. When it returns nil, the
// server has taken the login and the mail. It says what the server is like only if
// there is no mail to send.
func Try(ctx context.Context, s *submit.Submitter, t Trial) (Seen, error) {
	c := config.Default()
	c.Hostname, c.Accounts, c.Providers = s.Config.Hostname, []*config.Account{t.Account}, s.Config.Providers
	a, why, err := c.Choose(config.Choice{})
	if err != nil {
		return Seen{}, err
	}
	actor := s.Apart()
	actor.Config, actor.Spool.NoQueue = c, "a trial is not kept"
	if !t.Secret.IsZero() {
		a.Secret = nil // which is the keyring
		actor.Smarthosts.Secrets.Store = &credential.Store{Keyring: credential.OneSecret{Secret: t.Secret}}
	}
	if t.Mail == "" {
		return meet(ctx, actor, a)
	}
	m, err := message.Read(strings.NewReader(t.Mail), message.Options{})
	if err != nil {
		return Seen{}, err
	}
	defer m.Close()
	to := submit.Wanted{Recipient: envelope.Recipient{Address: t.To}, Origin: "the trial", NoAliases: true}
	return Seen{}, actor.Submit(ctx, &submit.Request{Account: a, Why: why, Sender: &t.To, To: []submit.Wanted{to}, Message: m})
}

// meet opens a session, says what the server is like, and ends it.
func meet(ctx context.Context, s *submit.Submitter, a *config.Account) (Seen, error) {
	own, _ := a.Address()
	session, h, err := s.Pool().Open(ctx, a, rewrite.New(s.Config, s.Identity, a).HelloName(own), smarthost.Options{})
	if err != nil {
		return Seen{}, err
	}
	seen := describe(h, session.Server())
	return seen, session.Close()
}

// describe says what a server is like, once its certificate has verified.
func describe(h dial.Hop, server smtp.Server) Seen {
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
		logins = "it offers the logins " + strings.Join(server.Mechanisms, " ")
	}
	return Seen{append(lines, logins), server.Mechanisms}
}
