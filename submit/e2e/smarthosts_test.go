//go:build e2e && linux

package e2e

import (
	"fmt"
	"io"
	"maps"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A smarthost is a server with mailboxes, and what it is good for.
type smarthost struct {
	name    string
	start   func(*testing.T, *smarthost) (*process, error) // nil: Postfix, which runs
	can     string                                         // the cases it takes part in
	dir     string
	boxes   string // a folder of Maildirs, by the local part
	port    int
	account settings // of an account that works
	process *process
}

// smarthosts are those that were started, by name.
type smarthosts map[string]*smarthost

func (s smarthosts) stop() {
	for _, h := range s {
		if h.process != nil {
			h.process.stop()
		}
	}
}

// cases are what is tried with each smarthost that can.
var cases = []struct {
	name string
	try  func(*testing.T, *smarthost)
}{
	{"small", trySmall},
	{"large", tryLarge},
	{"many", tryMany},
	{"refused", tryRefused},
	{"utf8", tryUTF8},
	{"notice", tryNotice},
	{"bdat", tryChunking},
	{"recode", tryRecode},
	{"old", tryOld},
}

var servers = []smarthost{
	{name: "Postfix", can: "small large many refused utf8 bdat"},
	{name: "old Postfix", can: "small many recode old"},
	{name: "Exim", start: startExim, can: "small large many refused utf8 notice bdat"},
	{name: "OpenSMTPD", start: startOpenSMTPD, can: "small large many refused notice"},
	{name: "Dovecot LMTP", start: startLMTP, can: "small large many refused"},
	{name: "Dovecot submission", start: startSubmission, can: "small large many bdat"},
}

// TestSmarthosts tries every case with every server that can.
func TestSmarthosts(t *testing.T) {
	for _, row := range servers {
		t.Run(row.name, func(t *testing.T) {
			h := serve(t, row)
			for _, c := range cases {
				if slices.Contains(strings.Fields(row.can), c.name) {
					t.Run(c.name, func(t *testing.T) { c.try(t, h) })
				}
			}
		})
	}
}

// serve returns a running smarthost, started by the first test that asks.
func serve(t *testing.T, row smarthost) *smarthost {
	t.Helper()
	s := mail(t)
	if h := lab.others[row.name]; h != nil {
		return h
	}
	h := &row
	h.dir = filepath.Join(lab.dir, strings.ReplaceAll(row.name, " ", "-"))
	h.boxes = h.dir + "/boxes"
	h.account = s.account(t, nil)
	for _, dir := range []string{h.dir, h.boxes, h.dir + "/log"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := chown(h.boxes, lab.caller.Username); err != nil {
		t.Fatal(err)
	}
	switch {
	case h.start != nil:
		var err error
		if h.process, err = h.start(t, h); err != nil {
			t.Fatal(err)
		}
		if err := await(h.name, listening("tcp", address(h.port))); err != nil {
			t.Fatal(err)
		}
	case h.name == "old Postfix":
		h.account["server"] = quote(fmt.Sprintf("smtps://localhost:%d", s.old))
		fallthrough
	default:
		h.boxes = s.dir + "/boxes"
	}
	if lab.others == nil {
		lab.others = smarthosts{}
	}
	lab.others[h.name] = h
	return h
}

// own gives what is in the smarthost's folder to a user.
func (h *smarthost) own(uid int, names ...string) {
	for _, name := range names {
		_ = os.Chown(filepath.Join(h.dir, name), uid, uid)
	}
}

// send submits a message as the account, with changes, and returns what became
// of the call.
func (h *smarthost) send(t *testing.T, message string, changes settings, args ...string) result {
	t.Helper()
	a := maps.Clone(h.account)
	maps.Copy(a, changes)
	return call{args: append([]string{"--config", config(t, a)}, args...), stdin: message}.run(t)
}

// sends is a send that must succeed and say nothing.
func (h *smarthost) sends(t *testing.T, message string, changes settings, args ...string) {
	t.Helper()
	if r := h.send(t, message, changes, args...); r.exit != 0 || r.stdout+r.stderr != "" {
		t.Fatalf("exit %d, stderr:\n%s", r.exit, r.stderr)
	}
}

// fetch waits for n messages in a mailbox and returns them from the first field
// on that the sender wrote, which is From.
func (h *smarthost) fetch(t *testing.T, box string, n int) []string {
	t.Helper()
	name, _, _ := strings.Cut(box, "@")
	var files []string
	if err := await("mail in "+box+" of "+h.name, func() bool {
		files, _ = filepath.Glob(filepath.Join(h.boxes, name, "new", "*"))
		return len(files) >= n
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) != n {
		t.Fatalf("%d messages in %s of %s, want %d", len(files), box, h.name, n)
	}
	var messages []string
	for _, file := range files {
		text := read(file)
		if i := strings.Index(text, "\nFrom: Ann"); i >= 0 {
			text = text[i+1:]
		}
		messages = append(messages, strings.ReplaceAll(text, "\r\n", "\n"))
	}
	return messages
}

// arrived checks that each box has the one message.
func (h *smarthost) arrived(t *testing.T, want string, boxes ...string) {
	t.Helper()
	for _, box := range boxes {
		if got := h.fetch(t, box, 1)[0]; got != want {
			t.Errorf("%s has:\n%s\nwant:\n%s", box, clip(got), clip(want))
		}
	}
}

var smarthostBoxes atomic.Int32

// box returns the address of a mailbox that no other test knows. They are
// counted from the end, since Postfix's own tests count from the beginning.
func (h *smarthost) box() string {
	return fmt.Sprintf("box-%d@example.net", maxBoxes-smarthostBoxes.Add(1))
}

// evil is a message whose body would be a second mail if it were executed.
const evil = header + "\nMAIL FROM:<evil@example.org>\nRCPT TO:<box-0@example.net>\nDATA\n.x\n\n..\nRSET\nQUIT\n"

func trySmall(t *testing.T, h *smarthost) {
	box := h.box()
	h.sends(t, evil, nil, "-i", box)
	h.arrived(t, evil, box)
}

func tryLarge(t *testing.T, h *smarthost) {
	box := h.box()
	text := header + "\n" + strings.Repeat(".All work and no play makes Jack a dull boy.\n", 5<<20/45)
	h.sends(t, text, nil, box)
	h.arrived(t, text, box)
}

// tryMany has more recipients than some of the servers take at once.
func tryMany(t *testing.T, h *smarthost) {
	var boxes []string
	for range 12 {
		boxes = append(boxes, h.box())
	}
	h.sends(t, header+"\nx\n", nil, boxes...)
	h.arrived(t, header+"\nx\n", boxes...)
}

// tryRefused has one of three recipients refused.
func tryRefused(t *testing.T, h *smarthost) {
	one, two := h.box(), h.box()
	r := h.send(t, header+"\nx\n", nil, one, "nobody@example.net", two)
	if r.exit != 67 || !strings.Contains(r.stderr, "RCPT TO:<nobody@example.net>: 55") || !strings.Contains(r.stderr, "already sent to <"+one+">, <"+two+">") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	h.arrived(t, header+"\nx\n", one, two)
}

// tryUTF8 needs SMTPUTF8 for an address; text in the header is encoded.
func tryUTF8(t *testing.T, h *smarthost) {
	box := h.box()
	to := strings.Replace(box, "box", "böx", 1)
	if h.name == "Exim" {
		box = to // it makes a mailbox for any name; Postfix has aliases
	}
	h.sends(t, strings.Replace(header, "hello", "Grüße", 1)+"\nx\n", nil, to)
	h.arrived(t, strings.Replace(header, "hello", "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", 1)+"\nx\n", box)
}

// tryNotice asks for a notice of success, and gets it.
func tryNotice(t *testing.T, h *smarthost) {
	sender, box := h.box(), h.box()
	h.sends(t, header+"\nx\n", nil, "-f", sender, "-N", "success", "-R", "hdrs", "-V", "run-1", box)
	h.arrived(t, header+"\nx\n", box)
	name, _, _ := strings.Cut(sender, "@")
	var notices []string
	if err := await("a notice", func() bool {
		notices, _ = filepath.Glob(filepath.Join(h.boxes, name, "new", "*"))
		return len(notices) == 1
	}); err != nil {
		t.Fatal(err)
	}
	notice := strings.ToLower(read(notices[0]))
	for _, want := range []string{"final-recipient: rfc822;", box, "action: delivered"} {
		if !strings.Contains(notice, want) {
			t.Errorf("the notice lacks %q:\n%s", want, notice)
		}
	}
}

// tryChunking sends by BDAT in the flight of MAIL; with recipients that are
// refused the server has to skip the message, and must not execute it.
func tryChunking(t *testing.T, h *smarthost) {
	oneFlight := settings{"one-flight": "true"}
	box := h.box()
	r := h.send(t, evil, oneFlight, "-v", "-i", box)
	if r.exit != 0 || !strings.Contains(r.stderr, "C: BDAT ") || strings.Contains(r.stderr, "C: DATA") {
		t.Fatalf("exit %d: %s", r.exit, r.stderr)
	}
	h.arrived(t, evil, box)
	if h.name == "Dovecot submission" {
		return // it refuses nobody itself
	}
	one, two := h.box(), h.box()
	if r := h.send(t, evil, oneFlight, "-i", one, "nobody@example.net", two); r.exit != 67 {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	h.arrived(t, evil, one, two)
	if r := h.send(t, evil, oneFlight, "-v", "-i", "nobody@example.net"); r.exit != 67 || strings.Contains(r.stderr, "sent to") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	large := evil + strings.Repeat("MAIL FROM:<evil@example.org>\n", 5000)
	box = h.box()
	h.sends(t, large, oneFlight, "-i", box)
	h.arrived(t, large, box)
	if files, _ := filepath.Glob(filepath.Join(h.boxes, "box-0", "new", "*")); len(files) > 0 {
		t.Errorf("a message was executed: %s", read(files[0]))
	}
}

// tryRecode sends 8-bit text to a server that does not take it.
func tryRecode(t *testing.T, h *smarthost) {
	box := h.box()
	head := header + "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
	h.sends(t, head+"Content-Transfer-Encoding: 8bit\n\nGrüße aus Köln\n", nil, box)
	got := h.fetch(t, box, 1)[0]
	body, ok := strings.CutPrefix(got, head+"Content-Transfer-Encoding: quoted-printable\n\n")
	decoded, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if !ok || err != nil || string(decoded) != "Grüße aus Köln\n" {
		t.Errorf("%v: %q from:\n%s", err, decoded, got)
	}
}

// tryOld asks for what the server does not know.
func tryOld(t *testing.T, h *smarthost) {
	box := h.box()
	r := h.send(t, header+"\nx\n", nil, "-N", "success", "böx-1@example.net", strings.Replace(box, "example.net", "bücher.example", 1))
	if r.exit != 77 || !strings.Contains(r.stderr, "RCPT TO:<böx-1@example.net>: the server takes no address with characters outside ASCII (SMTPUTF8)") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	h.arrived(t, header+"\nx\n", box)
}

// TestLMTPSocket delivers on a socket; one mailbox has no room left, which only
// shows at the end of the message.
func TestLMTPSocket(t *testing.T) {
	h := serve(t, servers[4])
	box := h.box()
	r := h.send(t, header+"\nx\n", settings{"server": quote("lmtp+unix:" + h.dir + "/lmtp.sock")}, box, "full@example.net")
	if r.exit != 75 || !strings.Contains(r.stderr, "end of message: 452 4.2.2 <full@example.net>") ||
		!strings.Contains(r.stderr, "already sent to <"+box+">") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	h.arrived(t, header+"\nx\n", box)
}

// TestPipe reaches Postfix through a command, as through ssh.
func TestPipe(t *testing.T) {
	s := mail(t)
	h := serve(t, servers[0])
	box := h.box()
	relay := fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & cat >&3; kill $!", s.open)
	a := settings{"server": quote("pipe:bash -c '" + relay + "'"), "from": quote(username)}
	call{args: []string{"--config", config(t, a), "-i", box}, stdin: evil}.succeeds(t)
	h.arrived(t, evil, box)
}
