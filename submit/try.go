package submit

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/rewrite"
	"sendoff/submit/smtp"
	"sendoff/submit/spool"
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
// server has taken the login and the mail. What was seen until an error is
// returned with it.
func (s *Submitter) Try(ctx context.Context, t Trial) (Seen, error) {
	actor := *s
	actor.Config = config.Default()
	actor.Config.Hostname = s.Config.Hostname
	actor.Config.Accounts, actor.Config.Providers = []*config.Account{t.Account}, s.Config.Providers
	actor.Spool, actor.Kept, actor.Log = spool.Spool{NoQueue: "a trial is not kept"}, nil, nil
	a, why, err := actor.Config.Choose(config.Choice{})
	if err != nil {
		return Seen{}, err
	}
	if !t.Secret.IsZero() {
		actor.Store = &credential.Store{Keyring: given{t.Secret}}
		a.Secret = config.List[string]{"keyring"}
	}
	var seen Seen
	actor.watch = func(h dial.Hop, offered []string, cs *tls.ConnectionState) { seen = describe(h, offered, cs) }
	if t.Mail == "" {
		err := actor.meet(ctx, a)
		return seen, err
	}
	m, err := message.Read(strings.NewReader(t.Mail), message.Options{})
	if err != nil {
		return Seen{}, err
	}
	defer m.Close()
	to := Wanted{Recipient: envelope.Recipient{Address: t.To}, Origin: "the trial", NoAliases: true}
	err = actor.Submit(ctx, &Request{Account: a, Why: why, Sender: &t.To, To: []Wanted{to}, Message: m})
	return seen, err
}

// meet opens a session, and ends it.
func (s *Submitter) meet(ctx context.Context, a *config.Account) error {
	own, _ := a.Address()
	session, err := s.open(ctx, a, rewrite.New(s.Config, s.Identity, a).HelloName(own))
	if err != nil {
		return err
	}
	return session.Close()
}

// given is a keyring that has one secret, whatever it is asked for.
type given struct{ secret credential.Secret }

func (g given) Get(string, string) (string, error) { return g.secret.Reveal(), nil }
func (given) Set(string, string, string) error     { return credential.ErrUnsupported }
func (given) Delete(string, string) error          { return credential.ErrUnsupported }

// describe says what a server is like, once its certificate has verified.
func describe(h dial.Hop, offered []string, cs *tls.ConnectionState) Seen {
	lines := []string{"connected to " + h.String() + ", without TLS"}
	if cs != nil {
		leaf := cs.PeerCertificates[0]
		days := int(time.Until(leaf.NotAfter).Hours() / 24)
		issuer := leaf.Issuer.CommonName
		if issuer == "" {
			issuer = strings.Join(leaf.Issuer.Organization, ", ")
		}
		lines = []string{
			"connected to " + h.String() + " with " + tls.VersionName(cs.Version),
			fmt.Sprintf("its certificate is good for %s, issued by %q, until %s (%d days)", h.Prove, status.Shorten(issuer), leaf.NotAfter.Format(time.DateOnly), days),
		}
	}
	logins := "it offers no login"
	if len(offered) > 0 {
		logins = "it offers the logins " + strings.Join(offered, " ")
	}
	return Seen{append(lines, logins), offered}
}

// watched is what smtp.Options.Auth becomes when a trial looks on.
func (s *Submitter) watched(h dial.Hop, next authenticate) authenticate {
	if s.watch == nil {
		return next
	}
	return func(ctx context.Context, offered []string, cs *tls.ConnectionState) (*smtp.Login, error) {
		s.watch(h, offered, cs)
		if next == nil {
			return nil, nil
		}
		return next(ctx, offered, cs)
	}
}

// authenticate is the type of smtp.Options.Auth.
type authenticate = func(context.Context, []string, *tls.ConnectionState) (*smtp.Login, error)
