// The scripts in testdata/script run the real binary, one file for each
// behaviour. They are testscript's (github.com/rogpeppe/go-internal), with
// these commands besides:
//
//	exit CODE PROGRAM ARG...    run it; that is its exit code, stdout is empty
//	print CODE PROGRAM ARG...   the same, for what writes to stdout
//	says LINE...                stderr was exactly this; … at a line's end stands
//	                            for the rest of it
//	hides USER SECRET           neither stdout nor stderr had the secret, in any form
//
//	smarthost NAME [WORD...]    start a server that takes mail after TLS and a login
//	                            as user with the password s3kr1t; NAME.envelope and
//	                            NAME.eml are the last mail it got
//	received NAME N             it has got N mails so far
//	server NAME FILE [WORD...]  start a server that plays a transcript of smtptest; a
//	                            C+ line compares with the script's file of that name
//	served NAME                 wait for the end of a session; it went as the transcript
//	refusing NAME               find a port that refuses connections
//	idle NAME...                nobody has connected to it
//
//	account NAME [LINE...]      write config.toml with the account work for a smarthost,
//	                            with more or other settings, and point SENDOFF_CONFIG there
//	config FILE                 expand variables in a file, and point SENDOFF_CONFIG there
//
// The words say how a server speaks (tls: from the start, which smarthost does
// unless told starttls or plain; noauth: without a login; old: TLS 1.1; leaves:
// hangs up after the final dot) and what is wrong with its certificate (see
// certificates). It has the address $NAME_ADDR, the
// port $NAME_PORT, and the authority NAME.pem. The condition [pristine] is a
// machine without a configuration of the system's.
package submit_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/smtpd"
)

// names are the program's names that are on the scripts' PATH.
var names = [...]string{"sendoff", "sendmail", "mailq", "newaliases", "runq", "rmail", "hoststat", "purgestat", "smtpd"}

func TestScript(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(2 * time.Minute), // for what hangs
		Setup:              func(e *testscript.Env) error { return setup(e, bin) },
		Condition:          condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":      command(1, func(ts *testscript.TestScript, args []string) { run(ts, args, false) }),
			"print":     command(1, func(ts *testscript.TestScript, args []string) { run(ts, args, true) }),
			"says":      command(0, says),
			"hides":     command(2, hides),
			"smarthost": command(1, smarthost),
			"received":  command(2, received),
			"server":    command(2, scripted),
			"served":    command(1, served),
			"refusing":  command(1, refusing),
			"idle":      command(1, idle),
			"account":   command(1, account),
			"config":    command(1, config),
		},
	})
}

// command makes a command of do that has at least least arguments.
func command(least int, do func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, not bool, args []string) {
		if not || len(args) < least {
			ts.Fatalf("see the head of script_test.go for this command")
		}
		do(ts, args)
	}
}

// build builds the binary under all its names and returns their folder.
func build(t *testing.T) string {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to build sendoff with")
	}
	bin := t.TempDir()
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	program := filepath.Join(bin, names[0]+suffix)
	if out, err := exec.Command(goTool, "build", "-o", program, "sendoff").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range names[1:] {
		if err := os.Link(program, filepath.Join(bin, name+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// setup makes a home where nobody else can read or write, and an environment
// that knows nothing of whoever runs the tests.
func setup(e *testscript.Env, bin string) error {
	e.Values[serversKey{}] = servers{}
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("XDG_CONFIG_HOME", e.WorkDir)
	e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	e.Setenv("BIN", bin)
	e.Setenv("LC_ALL", "C")
	return filepath.WalkDir(e.WorkDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, os.Chmod(path, 0o700))
		}
		return os.Chmod(path, 0o600)
	})
}

func condition(name string) (bool, error) {
	switch name {
	case "pristine":
		_, err := os.Stat("/etc/sendoff/config.toml")
		return errors.Is(err, fs.ErrNotExist), nil
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition")
}

func run(ts *testscript.TestScript, args []string, mayPrint bool) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
	if !mayPrint && ts.ReadFile("stdout") != "" {
		ts.Fatalf("something on stdout")
	}
}

func says(ts *testscript.TestScript, want []string) {
	got := slices.Collect(strings.Lines(ts.ReadFile("stderr")))
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			ts.Fatalf("stderr has more: %s", got[i])
		case i >= len(got):
			ts.Fatalf("stderr lacks: %s", want[i])
		}
		line := strings.TrimSuffix(got[i], "\n")
		begin, open := strings.CutSuffix(want[i], "…")
		if open && !strings.HasPrefix(line, begin) || !open && line != want[i] {
			ts.Fatalf("stderr line %d:\n got %s\nwant %s", i+1, line, want[i])
		}
	}
}

func hides(ts *testscript.TestScript, args []string) {
	user, secret := args[0], args[1]
	encode := base64.StdEncoding.EncodeToString
	for _, text := range []string{secret, encode([]byte(secret)), encode([]byte("\x00" + user + "\x00" + secret))} {
		for _, stream := range []string{"stdout", "stderr"} {
			if strings.Contains(ts.ReadFile(stream), text) {
				ts.Fatalf("%s shows %q", stream, text)
			}
		}
	}
}

// A server is what a script has started under a name.
type server struct {
	net.Listener
	url   string      // as a configuration has it
	peers chan string // who connected, in order
	done  chan error  // how each session ended
	mails atomic.Int32
}

// servers are those of one script, by name.
type servers map[string]*server

type serversKey struct{}

func find(ts *testscript.TestScript, name string) *server {
	s := ts.Value(serversKey{}).(servers)[name]
	if s == nil {
		ts.Fatalf("no server %s", name)
	}
	return s
}

// listen starts a server that serves one connection after the other.
func listen(ts *testscript.TestScript, name, scheme string, serve func(*server, net.Conn) error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	s := &server{Listener: l, url: scheme + "://" + l.Addr().String(), peers: make(chan string, 100), done: make(chan error, 100)}
	ts.Value(serversKey{}).(servers)[name] = s
	setAddress(ts, name, l.Addr())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.peers <- conn.RemoteAddr().String()
			s.done <- serve(s, conn)
			conn.Close()
		}
	}()
}

func setAddress(ts *testscript.TestScript, name string, a net.Addr) {
	_, port, err := net.SplitHostPort(a.String())
	ts.Check(err)
	ts.Setenv(name+"_ADDR", a.String())
	ts.Setenv(name+"_PORT", port)
}

func smarthost(ts *testscript.TestScript, args []string) {
	name, words := args[0], args[1:]
	file := ts.MkAbs(name)
	d := &smtpd.Server{Hostname: "mx.example", MaxSize: 1 << 30}
	if !slices.Contains(words, "noauth") {
		d.RequireAuth = true
		d.Auth = func(user, password string) error {
			if user != "user" || password != "s3kr1t" {
				return errors.New("wrong")
			}
			return nil
		}
	}
	config := tlsConfig(ts, name, words)
	scheme := "smtps"
	switch {
	case slices.Contains(words, "plain"):
		scheme = "smtp+plain"
	case slices.Contains(words, "starttls"):
		scheme, d.TLSConfig = "smtp", config
	}
	listen(ts, name, scheme, func(s *server, conn net.Conn) error {
		mine := *d
		mine.Handle = func(_ context.Context, c smtpd.Client, e *envelope.Envelope, content io.Reader) error {
			s.mails.Add(1)
			return errors.Join(os.WriteFile(file+".envelope", []byte(describe(c, e)), 0o600), keep(file+".eml", content))
		}
		if scheme == "smtps" {
			return mine.Serve(context.Background(), tls.Server(conn, config))
		}
		return mine.Serve(context.Background(), conn)
	})
}

// describe writes an envelope as the commands that made it, without SIZE.
func describe(c smtpd.Client, e *envelope.Envelope) string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			b.WriteString(" " + name + value)
		}
	}
	if c.User != "" {
		b.WriteString("AUTH " + c.User + "\n")
	}
	fmt.Fprintf(&b, "MAIL FROM:<%s>", e.From)
	add("BODY=", e.Body.String())
	if e.UTF8 {
		b.WriteString(" SMTPUTF8")
	}
	add("RET=", e.Return.String())
	add("ENVID=", e.ID)
	for _, to := range e.To {
		fmt.Fprintf(&b, "\nRCPT TO:<%s>", to.Address)
		add("NOTIFY=", to.Notify.String())
		add("ORCPT=", to.Original)
	}
	return b.String() + "\n"
}

// keep writes a message to a file, its lines ending as a script's do.
func keep(file string, content io.Reader) error {
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "\r\n", "\n")), 0o600)
}

func received(ts *testscript.TestScript, args []string) {
	if n := strconv.Itoa(int(find(ts, args[0]).mails.Load())); n != args[1] {
		ts.Fatalf("%s got %s mails", args[0], n)
	}
}

func scripted(ts *testscript.TestScript, args []string) {
	name, file, words := args[0], args[1], args[2:]
	text := ts.ReadFile(file)
	for line := range strings.Lines(text) {
		if part, ok := strings.CutPrefix(strings.TrimSpace(line), "C+ "); ok {
			if content, err := os.ReadFile(ts.MkAbs(part)); err == nil {
				text += "-- " + part + " --\n" + string(content)
			}
		}
	}
	transcript, err := smtptest.Parse(file, text)
	ts.Check(err)
	config := tlsConfig(ts, name, words)
	transcript.TLS = config
	scheme, implicit := "smtp", slices.Contains(words, "tls")
	if implicit {
		scheme = "smtps"
	}
	leaves := slices.Contains(words, "leaves")
	listen(ts, name, scheme, func(_ *server, conn net.Conn) error {
		if implicit {
			conn = tls.Server(conn, config)
		}
		if leaves {
			conn = &leaving{Conn: conn}
		}
		return transcript.Serve(conn)
	})
}

// leaving is the connection of a server that hears nothing after the final dot.
type leaving struct {
	net.Conn
	gone bool
}

func (l *leaving) Read(p []byte) (int, error) {
	if l.gone {
		return 0, io.EOF
	}
	n, err := l.Conn.Read(p)
	l.gone = strings.HasSuffix(string(p[:n]), "\n.\r\n")
	return n, err
}

func served(ts *testscript.TestScript, args []string) {
	select {
	case err := <-find(ts, args[0]).done:
		ts.Check(err)
	case <-time.After(time.Minute):
		ts.Fatalf("nobody came")
	}
}

// refusing takes a port that an open connection has at its other end: it
// refuses others, and nobody else can get it.
func refusing(ts *testscript.TestScript, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	conn, err := net.Dial("tcp", l.Addr().String())
	ts.Check(err)
	ts.Defer(func() { conn.Close(); l.Close() })
	setAddress(ts, args[0], conn.LocalAddr())
}

// idle connects itself: connections are accepted in their order, so that ours
// is the first if nobody else came.
func idle(ts *testscript.TestScript, args []string) {
	for _, name := range args {
		s := find(ts, name)
		conn, err := net.Dial("tcp", s.Addr().String())
		ts.Check(err)
		conn.Close()
		if peer := <-s.peers; peer != conn.LocalAddr().String() {
			ts.Fatalf("somebody has connected to %s", name)
		}
	}
}

func account(ts *testscript.TestScript, args []string) {
	secret := ts.MkAbs("secret")
	ts.Check(os.WriteFile(secret, []byte("s3kr1t\n"), 0o600))
	top := []string{`hostname = "client.example"`}
	lines := []string{
		fmt.Sprintf("server = %q", find(ts, args[0]).url),
		fmt.Sprintf("tls-ca = %q", args[0]+".pem"),
		`user = "user"`,
		fmt.Sprintf("secret = %q", "file:"+filepath.ToSlash(secret)),
		`from = "ann@example.org"`,
	}
	for _, line := range args[1:] {
		key, _, _ := strings.Cut(line, " ")
		same := func(l string) bool { return strings.HasPrefix(l, key+" ") }
		if key == "domain" {
			top = append(top, line)
			continue
		}
		lines = append(slices.DeleteFunc(lines, same), line)
	}
	lines = slices.Concat(top, []string{"[accounts.work]"}, lines, []string{""})
	ts.Check(os.WriteFile(ts.MkAbs("config.toml"), []byte(strings.Join(lines, "\n")), 0o600))
	ts.Setenv("SENDOFF_CONFIG", ts.MkAbs("config.toml"))
}

func config(ts *testscript.TestScript, args []string) {
	file := ts.MkAbs(args[0])
	text := os.Expand(ts.ReadFile(file), func(name string) string { return filepath.ToSlash(ts.Getenv(name)) })
	ts.Check(os.WriteFile(file, []byte(text), 0o600))
	ts.Setenv("SENDOFF_CONFIG", file)
}

// certificates are the faults that a server's certificate may have, by the
// word for it.
var certificates = [...]struct {
	word  string
	fault func(*x509.Certificate)
}{
	{"expired", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.AddDate(-1, 0, 0), c.NotAfter.AddDate(-1, 0, 0)
	}},
	{"future", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.AddDate(1, 0, 0), c.NotAfter.AddDate(1, 0, 0)
	}},
	{"other-name", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example"}, nil }},
	{"common-name", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }},
	{"client-only", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }},
}

// tlsConfig makes a self-signed certificate for 127.0.0.1 and localhost, with
// the faults that words ask for, and writes it to name.pem.
func tlsConfig(ts *testscript.TestScript, name string, words []string) *tls.Config {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, row := range certificates {
		if slices.Contains(words, row.word) {
			row.fault(template)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), authority, 0o600))
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if slices.Contains(words, "old") {
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	return config
}
