// Package rehearse shows or tries a submission that must do no harm:
//
//	Explain  the caller's message and account ──> what would be sent, and why (--dry-run)
//	Run      the caller's message and account ──> a smarthost on a loopback port,
//	                                              which shows what it has received
//	Try      an account on trial ──> its own server: a session, or a test mail in it
//
// Run and Try use a Submitter as every mail does, but with a single secret, and without a
// queue and a log. The package knows nothing of the queue's runner and of throttle.
//
// Errors: the errors of package submit; "rehearsal: …" if our smarthost cannot start.
package rehearse

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"

	"sendoff/config"
	"sendoff/submit"
	"sendoff/submit/credential"
	"sendoff/submit/envelope"
	"sendoff/submit/smtp"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// Run starts a smarthost on a loopback port, and submits the message of r to it over TCP,
// TLS and AUTH, as to any other. It writes the dialogue to w, and then each envelope and
// message exactly as the smarthost received them. It does not use the account's server and
// secret.
func Run(ctx context.Context, s *submit.Submitter, w io.Writer, r *submit.Request) error {
	secret, err := credential.NewSecret(rand.Text())
	if err != nil {
		return err
	}
	certificate, err := smtpd.Certificate("127.0.0.1")
	if err != nil {
		return fmt.Errorf("rehearsal: %w", err)
	}
	account := r.Account.Bare()
	account.User = cmp.Or(r.Account.User, "rehearsal")
	account.TLSFingerprint = config.Fingerprints{sha256.Sum256(certificate.Certificate[0])}
	var received bytes.Buffer
	server := &smtpd.Server{
		Hostname:    "rehearsal.localhost",
		RequireAuth: true,
		Auth: func(user, password string) error {
			if user != account.User || password != secret.Reveal() {
				return errors.New("not the rehearsal's secret")
			}
			return nil
		},
		Handle: func(_ context.Context, _ smtpd.Client, e *envelope.Envelope, content io.Reader) error {
			return record(&received, e, content)
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address, wait, err := server.Loopback(ctx, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return status.Connection.Errorf("rehearsal: %w", err)
	}
	if err := account.Servers.UnmarshalText([]byte(config.SchemeTLS + "://" + address)); err != nil {
		return err
	}
	apart := s.Apart()
	apart.Smarthosts.Secrets.Store = &credential.Store{Keyring: credential.OneSecret{Secret: secret}}
	apart.Smarthosts.Trace = traceTo(w)
	rehearsed := *r
	rehearsed.Account = account
	err = apart.Submit(ctx, &rehearsed)
	cancel()
	err = cmp.Or(err, wait())
	_, errWrite := received.WriteTo(w)
	return cmp.Or(err, errWrite)
}

// record writes an envelope and a message, as the server received them, to b.
func record(b *bytes.Buffer, e *envelope.Envelope, content io.Reader) error {
	fmt.Fprintf(b, "\nenvelope as received:\n  MAIL FROM:<%s>", e.From)
	if e.Size > 0 {
		fmt.Fprintf(b, " SIZE=%d", e.Size)
	}
	parameter(b, "BODY", e.Body.String())
	if e.UTF8 {
		b.WriteString(" SMTPUTF8")
	}
	if e.RequireTLS {
		b.WriteString(" REQUIRETLS")
	}
	parameter(b, "RET", e.Return.String())
	parameter(b, "ENVID", e.ID)
	for _, to := range e.To {
		fmt.Fprintf(b, "\n  RCPT TO:<%s>", to.Address)
		parameter(b, "NOTIFY", to.Notify.String())
		parameter(b, "ORCPT", to.Original)
	}
	b.WriteString("\nmessage as received:\n")
	_, err := b.ReadFrom(content)
	return err
}

func parameter(b *bytes.Buffer, name, value string) {
	if value != "" {
		fmt.Fprintf(b, " %s=%s", name, value)
	}
}

func traceTo(w io.Writer) func(smtp.Line) {
	var mu sync.Mutex
	return func(l smtp.Line) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%c: %s\n", l.From, l.Text)
	}
}
