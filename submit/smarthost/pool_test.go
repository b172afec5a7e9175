package smarthost

import (
	"context"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sendoff/config"
	"sendoff/submit/credential"
	"sendoff/submit/dial"
	"sendoff/submit/envelope"
	"sendoff/submit/login"
	"sendoff/submit/secret"
	"sendoff/submit/smtp"
	"sendoff/submit/smtpd"
)

// TestTimerBug tests that a bug in the timer of a session does not end the process.
func TestTimerBug(t *testing.T) {
	i := new(Idle)
	left := make(chan bool)
	i.put(&Session{release: func() { close(left) }}) // End panics, because there is no smtp.Session
	<-left
}

// TestKey tests that two mails share a session only if all settings of their accounts,
// and our names in EHLO, are equal.
func TestKey(t *testing.T) {
	s := &Session{hello: "a.example"}
	for i := range reflect.TypeFor[config.Account]().NumField() {
		f := reflect.TypeFor[config.Account]().Field(i)
		a := new(config.Account)
		if !f.IsExported() {
			continue
		}
		if !fill(reflect.ValueOf(a).Elem().Field(i)) {
			t.Errorf("%s has a kind that this test does not know: %s", f.Name, f.Type)
		}
		if s.fits(a, "a.example") {
			t.Errorf("%s differs: the same session", f.Name)
		}
	}
	if !s.fits(new(config.Account), "a.example") {
		t.Error("nothing differs: another session")
	}
	if s.fits(new(config.Account), "b.example") {
		t.Error("another name in EHLO: the same session")
	}
}

// fill gives every field of v a value that is not zero.
func fill(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(4)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(4)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return fill(v.Index(0))
	case reflect.Array:
		return fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[config.Source]() {
			return v.Addr().Interface().(*config.Source).UnmarshalText([]byte("192.0.2.1")) == nil
		}
		if r, ok := v.Addr().Interface().(*secret.Ref); ok {
			*r = secret.OfKeyring
			return true
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() && !fill(v.Field(i)) {
				return false
			}
		}
	case reflect.Pointer, reflect.Func:
	default:
		return false
	}
	return true
}

// pooled returns a Pool whose server takes every mail, and a count of connections.
func pooled(t *testing.T) (p *Pool, a *config.Account, connections *atomic.Int32) {
	t.Helper()
	server := &smtpd.Server{Hostname: "mx.example", Handle: func(_ context.Context, _ smtpd.Client, _ *envelope.Envelope, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}}
	ctx, cancel := context.WithCancel(t.Context())
	address, wait, err := server.Loopback(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int32)
	d := &dial.Dialer{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	a = &config.Account{Name: "work", MaxRecipients: 100}
	if err := a.Servers.UnmarshalText([]byte("smtp+plain://" + address)); err != nil {
		t.Fatal(err)
	}
	p = &Pool{Idle: new(Idle), Opener: &Opener{Dialer: d, Secrets: &login.Secrets{Config: new(config.Config), Store: new(credential.Store), Dialer: d}}}
	t.Cleanup(func() { p.Idle.Close(); cancel(); wait() })
	return p, a, connections
}

// TestPool tests that a session is kept for the next mail, in real time, so that the
// race detector can run it.
func TestPool(t *testing.T) {
	p, a, connections := pooled(t)
	send := func(a *config.Account, hello string) *Session {
		t.Helper()
		s, err := p.Get(t.Context(), a, hello, time.Second, false)
		if err != nil {
			t.Fatal(err)
		}
		var got error
		from, to := envelope.Address{}, envelope.Recipient{}
		if from, err = envelope.Parse("ann@example.org"); err != nil {
			t.Fatal(err)
		}
		to.Address = from
		const text = "Subject: x\r\n\r\n"
		mail := smtp.Mail{
			Envelope: &envelope.Envelope{From: from, To: []envelope.Recipient{to}},
			Open: func(envelope.Form) (io.Reader, int64, error) {
				return strings.NewReader(text), int64(len(text)), nil
			},
			Done: func(r smtp.Result) { got = r.Err },
		}
		left, err := s.Send(t.Context(), []smtp.Mail{mail}, nil)
		if err != nil || got != nil || len(left) > 0 {
			t.Fatalf("%v, %v, %d mails left", err, got, len(left))
		}
		return s
	}
	hold := func(want int32, reused bool, s *Session) *Session {
		t.Helper()
		if n := connections.Load(); n != want || s.Reused != reused {
			t.Errorf("%d connections, reused: %v; want %d, %v", n, s.Reused, want, reused)
		}
		return s
	}
	p.Put(hold(1, false, send(a, "a.example")), nil)
	p.Put(hold(1, true, send(a, "a.example")), nil)
	p.Put(hold(2, false, send(a, "b.example")), nil)
	p.Put(hold(2, true, send(a, "a.example")), fmt.Errorf("lost"))
	p.Put(hold(3, false, send(a, "a.example")), nil)
	p.Idle.Close()
	hold(4, false, send(a, "a.example")).End()
	p.Idle = nil
	p.Put(hold(5, false, send(a, "a.example")), nil)
	hold(6, false, send(a, "a.example")).End()
}
