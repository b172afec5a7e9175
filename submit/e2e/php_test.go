//go:build e2e && linux

package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// injections are what an attacker may get into the arguments of PHP's mail().
// BOX is the recipient who is meant, who it is if to is empty, and EVIL another;
// OWN is the account's address, DIR a folder that anybody may write to, and
// PORT where somebody else listens. With partly, one argument is a recipient
// whose address is wrong: called as sendmail, the message goes to BOX all the
// same, and mail() is false.
var injections = []struct {
	to, subject, headers, fifth string

	partly bool
}{
	{fifth: "-fwww@example.org -OQueueDirectory=DIR -XDIR/x.php"},
	{fifth: "-OQueueDirectory=DIR -XDIR/x.php"},
	{fifth: "-oQDIR -X DIR/x.php"},
	{fifth: `-f"attacker\" -oQDIR/ -XDIR/x.php some"@email.com`},
	{fifth: "-fOWN -D DIR/x.php -oADIR/aliases"},
	{fifth: "-C/etc/passwd"},
	{fifth: "-CDIR/evil.toml"},
	{fifth: "-C DIR/evil.toml"},
	{fifth: "-be ${run{/bin/touch DIR/x.php}}"},
	{fifth: "-be ${run{${substr{0}{1}{$spool_directory}}bin${substr{0}{1}{$spool_directory}}touch DIR/x.php}}"},
	{fifth: "-bp"},
	{fifth: "-bs"},
	{fifth: "-bd"},
	{fifth: "-bi"},
	{fifth: "-bv"},
	{fifth: "-bt"},
	{fifth: "-bV"},
	{fifth: "-bh"},
	{fifth: "-bP"},
	{fifth: "-bC"},
	{fifth: "-q"},
	{fifth: "-qf"},
	{fifth: "-I"},
	{fifth: "-d0.1"},
	{fifth: "-d0-99.1"},
	{fifth: "-v"},
	{fifth: "-oem -oee -odq"},
	{fifth: "-N never"},
	{fifth: "-a evil"},
	{fifth: "--account evil"},
	{fifth: "--config DIR/evil.toml"},
	{fifth: "--config=DIR/evil.toml"},
	{fifth: "--server=127.0.0.1:PORT"},
	{fifth: "--server smtp+plain://127.0.0.1:PORT"},
	{fifth: "--secret command:touch\tDIR/x.php"},
	{fifth: "--help"},
	{fifth: "--version"},
	{fifth: "--dry-run"},
	{fifth: "--rehearse"},
	{fifth: "--listen=127.0.0.1:0"},
	{fifth: "--queue-run"},
	{fifth: "--queue-delete ALL"},
	{fifth: "--logout work"},
	{fifth: "-- --server=127.0.0.1:PORT"},
	{fifth: "-f"},
	{fifth: "-f -t"},
	{fifth: "$(touch DIR/x.php)", partly: true},
	{fifth: "`touch DIR/x.php`"},
	{fifth: "; touch DIR/x.php"},
	{fifth: "| touch DIR/x.php"},
	{fifth: "\ntouch DIR/x.php"},
	{fifth: "> DIR/x.php", partly: true},
	{to: "BOX\nBcc: EVIL"},
	{to: "BOX\r\nBcc: EVIL"},
	{to: "BOX%0aBcc:EVIL"},
	{to: "BOX\x00EVIL"},
	{to: "|touch DIR/x.php"},
	{to: "\"|touch DIR/x.php\""},
	{to: "/DIR/x.php"},
	{to: "DIR/x.php"},
	{to: ":include:/etc/passwd"},
	{to: "-oQDIR -XDIR/x.php"},
	{subject: "x\nBcc: EVIL"},
	{subject: "x\r\n\r\n.\r\nMAIL FROM:<OWN>\r\nRCPT TO:<EVIL>\r\nDATA\r\n"},
	{subject: "x%0aBcc:EVIL"},
	{headers: "X-Test: %0aBcc: EVIL"},
	{headers: "X-Test: x\rBcc: EVIL"},
	{headers: "X-Test: x\n\nBcc: EVIL"},
	{headers: "X-Test: x\n.\nRCPT TO:<EVIL>"},
	{headers: "From: root\" -XDIR/x.php \"@example.org"},
	{headers: "Return-Path: -XDIR/x.php"},
	{headers: "From: OWN, EVIL"},
}

// A phpCall is a call of mail(), and the mailbox that it is meant for.
type phpCall struct {
	To, Subject, Headers, Fifth string
	box                         string
	partly                      bool
}

// TestInjections holds, in both faces, that mail() is not true unless one mail
// came to the intended recipient, that nobody else got one, and that no file,
// connection or command comes of any argument.
func TestInjections(t *testing.T) {
	installed(t, "php", "sudo")
	for _, face := range []string{"/usr/sbin/sendmail", "/usr/local/bin/sendoff"} {
		t.Run(filepath.Base(face), func(t *testing.T) { inject(t, face) })
	}
}

func inject(t *testing.T, face string) {
	s := mail(t)
	p := newPlace(t, s.box())
	open := p.dir + "/open"
	if err := errors.Join(os.Mkdir(open, 0o777), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	port, visitors := evilServer(t)
	evil := s.box()
	account := fmt.Sprintf("[accounts.evil]\nserver = \"smtp+plain://127.0.0.1:%d\"\nfrom = \"*\"\nsecret = \"command:touch %s/x.php\"\n", port, open)
	write(t, open+"/evil.toml", account)

	var calls []phpCall
	for _, i := range injections {
		box := s.box()
		fill := strings.NewReplacer("BOX", box, "OWN", p.own, "EVIL", evil, "DIR", open, "PORT", fmt.Sprint(port)).Replace
		calls = append(calls, phpCall{fill(cmp.Or(i.to, "BOX")), fill(i.subject), fill(i.headers), fill(i.fifth), box, i.partly && face != "/usr/local/bin/sendoff"})
	}
	sent := 0
	for i, answer := range p.callPHP(t, face, calls) {
		c := calls[i]
		if answer {
			sent++
		}
		if answer && strings.Contains(c.To, c.box) { // else a local name, which stands for the account's own address
			s.fetch(t, c.box, 1)
		}
		if n := len(s.in(c.box)); n > 1 || n == 1 && !answer && !c.partly || n == 0 && c.partly {
			t.Errorf("%+v: mail() is %v, and %d mails came", c, answer, n)
		}
	}
	if sent == 0 || sent == len(calls) {
		t.Errorf("%d of %d mails sent", sent, len(calls))
	}
	if got := s.in(evil); len(got) > 0 {
		t.Errorf("%d mails went to somebody else:\n%s", len(got), read(got[0]))
	}
	if n := visitors.Load(); n > 0 {
		t.Errorf("%d connections to another server", n)
	}
	if before, after := read(p.dir+"/before"), read(p.dir+"/after"); before != after || before == "" {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
	if files, _ := filepath.Glob(open + "/*"); len(files) != 1 || read(files[0]) != account {
		t.Errorf("files: %q", files)
	}
}

// callPHP makes the calls, runs what was queued, and returns the answers. All
// files outside the queue are listed before and after.
func (p *place) callPHP(t *testing.T, face string, calls []phpCall) (answers []bool) {
	t.Helper()
	text, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.dir+"/calls", string(text))
	write(t, p.dir+"/mail.php", mailAll)
	file := write(t, p.dir+"/answers", "")
	if err := chown(file, "www-data"); err != nil {
		t.Fatal(err)
	}
	p.run(t, inPlace(t)+`
files() { find "$DIR/layers" /run -path '*/spool/sendoff' -prune -o -print | sort; }
www() { setpriv --reuid=www-data --regid=www-data --clear-groups "$@"; }
files >"$DIR/before"
cd "$DIR/open"
www php -d "sendmail_path=$FACE -t -i" "$DIR/mail.php" <"$DIR/calls" >"$DIR/out" 2>&1
www sendmail -q
files >"$DIR/after"
`, "FACE="+face)
	if err := json.Unmarshal([]byte(read(file)), &answers); err != nil || len(answers) != len(calls) {
		t.Fatalf("%d answers to %d calls, %v:\n%s", len(answers), len(calls), err, read(p.dir+"/out"))
	}
	return answers
}

// mailAll is a program in PHP that calls mail() for each of the calls on its
// stdin. That PHP itself refuses is as good as the answer false.
const mailAll = `<?php
error_reporting(0);
foreach (json_decode(stream_get_contents(STDIN)) as $c) {
	try {
		$answers[] = mail($c->To, $c->Subject, "text\n.\n", $c->Headers, $c->Fifth);
	} catch (ValueError $e) {
		$answers[] = false;
	}
}
file_put_contents(getenv("DIR")."/answers", json_encode($answers));
`

// evilServer listens where no mail may go, and counts who comes.
func evilServer(t *testing.T) (port int, visitors *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	visitors = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			visitors.Add(1)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, visitors
}
