//go:build !race

// Go 1.26's race detector sometimes crashes if timers end within a synctest bubble, as they
// do here. TestDoctorInRealTime runs with the race detector instead.

package doctor

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sendoff/submit"
	"sendoff/submit/dial/dialtest"
	"sendoff/submit/envelope"
	"sendoff/submit/message"
	"sendoff/submit/status"
)

// TestDoctorAddresses: each address of a name is tried. If one works, the failure of
// another is a note. Equal findings are written once; different findings name their
// addresses.
func TestDoctorAddresses(t *testing.T) {
	const hello = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250 SIZE 1000\n"
	const other = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250 SIZE 2000\n"
	const mute = "mute"
	for _, tt := range []struct {
		name          string
		first, second string // transcripts; "": the address refuses the connection
		want          []string
	}{
		{"alike", hello, hello, []string{
			"ok    name      mx.example: 192.0.2.1, 192.0.2.2",
			"ok    connect   smtp+plain://mx.example:25 (192.0.2.1:25)",
			"ok    connect   smtp+plain://mx.example:25 (192.0.2.2:25)",
			"note  TLS       no TLS: everybody on the way to mx.example can read the mail",
			`                hint: write the server with TLS: server = "smtps://mx.example" or "smtp://mx.example"`,
			"ok    EHLO      mx; offers SIZE 1000",
		}},
		{"different", hello, other, []string{
			"ok    EHLO      192.0.2.1:25: mx; offers SIZE 1000",
			"ok    EHLO      192.0.2.2:25: mx; offers SIZE 2000",
		}},
		{"one refuses", "", hello, []string{
			"note  connect   connect to mx.example:25 at 192.0.2.1: connection refused",
			`                hint: port 25 is blocked on most networks; try smtps://mx.example or smtp://mx.example as server`,
			"ok    connect   smtp+plain://mx.example:25 (192.0.2.2:25)",
			"ok    EHLO      mx; offers SIZE 1000",
		}},
		{"one is busy", hello, "S: 421 4.3.2 busy\nC: QUIT\n", []string{
			"ok    EHLO      192.0.2.1:25: mx; offers SIZE 1000",
			"note  EHLO      192.0.2.2:25: greeting: 421 4.3.2 busy (mx.example)",
		}},
		{"one is mute", mute, hello, []string{
			"note  EHLO      192.0.2.1:25: not ready for mail within 1m0s while waiting for the greeting (mx.example)",
			`                hint: the server may wait for TLS: try smtps://mx.example as server; for a slow server set a longer timeout`,
			"ok    EHLO      192.0.2.2:25: mx; offers SIZE 1000",
		}},
		{"both refuse", "", "", []string{
			"fail  connect   connect to mx.example:25 at 192.0.2.1: connection refused",
			`                hint: port 25 is blocked on most networks; try smtps://mx.example or smtp://mx.example as server`,
			"fail  connect   connect to mx.example:25 at 192.0.2.2: connection refused",
			`                hint: port 25 is blocked on most networks; try smtps://mx.example or smtp://mx.example as server`,
			"skip            5 checks skipped: they need a working connection",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &dialtest.Network{Began: time.Now(), Session: dialtest.Session, Names: map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1, dialtest.Four2}}}, Hosts: map[string]dialtest.Peer{}}
				for address, script := range map[string]string{dialtest.Four1: tt.first, dialtest.Four2: tt.second} {
					p := dialtest.Peer{Says: script, Mute: script == mute}
					if script == "" {
						p.Err = syscall.ECONNREFUSED
					}
					n.Hosts[dialtest.At(address)] = p
				}
				s := submitterFor(t, "smtp+plain://mx.example:25", n)
				var out strings.Builder
				Run(t.Context(), s, &out, Checkup{})
				lines := strings.Split(out.String(), "\n")
				for _, want := range tt.want {
					if !slices.Contains(lines, want) {
						t.Errorf("no line %s\nin %s", want, out.String())
					}
				}
				synctest.Wait()
				if n.Open != 0 {
					t.Errorf("%d connections are left open", n.Open)
				}
			})
		})
	}
}

// TestOddPort: if nobody answers at a port that is unusual for its scheme, the error and
// its hint name the port. The doctor says so before it connects, so that a person need not
// wait.
func TestOddPort(t *testing.T) {
	const waited = "not ready for mail within 1m0s while waiting for the greeting (mx.example:465)"
	const odd = "port 465 is for TLS from the start, which is smtps://"
	synctest.Test(t, func(t *testing.T) {
		n := &dialtest.Network{Began: time.Now(), Session: dialtest.Session, Names: map[string]dialtest.Zone{"ip4:mx.example": {Found: []string{dialtest.Four1}}}, Hosts: map[string]dialtest.Peer{dialtest.Four1 + ":465": {Mute: true}}}
		s := submitterFor(t, "smtp://mx.example:465", n)
		s.Console = &status.Console{Person: func(text string, _ error) { n.Note("%s", text) }}
		m, err := message.Read(strings.NewReader("Subject: x\n"), message.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		bob, err := envelope.Parse("bob@example.net")
		if err != nil {
			t.Fatal(err)
		}
		err = s.Submit(t.Context(), &submit.Request{Account: s.Config.Accounts[0], Message: m, To: []submit.Wanted{{Recipient: envelope.Recipient{Address: bob}}}})
		if err == nil || err.Error() != waited {
			t.Errorf("got %v", err)
		}
		want := []string{"0s dial 192.0.2.1:465", "0s reach 192.0.2.1:465", "5s no answer yet from smtp://mx.example:465 (192.0.2.1:465); " + odd}
		if !slices.Equal(n.Notes, want) {
			t.Errorf("got %q, want %q", n.Notes, want)
		}
		var out strings.Builder
		Run(t.Context(), s, &out, Checkup{})
		for _, line := range []string{
			"note  account   smtp://mx.example:465: " + odd,
			"fail  EHLO      " + waited + "\n                hint: port 465 is for TLS from the start: use smtps://mx.example as server",
		} {
			if !strings.Contains(out.String(), line+"\n") {
				t.Errorf("no line %s\nin %s", line, out.String())
			}
		}
		synctest.Wait()
	})
}
