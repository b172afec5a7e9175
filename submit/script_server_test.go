package submit_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sendoff/submit"
	"sendoff/submit/envelope"
	"sendoff/submit/smtp/smtptest"
	"sendoff/submit/smtpd"
	"sendoff/submit/status"
)

// A server is what a script has started under a name.
type server struct {
	net.Listener
	url   string      // as a configuration has it
	peers chan string // who connected, in order
	done  chan error  // how each session ended
	mails atomic.Int32

	logins atomic.Int32 // that were refused
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
	network, address, slashes := "tcp", "127.0.0.1:0", "://"
	if scheme == "unix" {
		network, address, slashes = "unix", ts.MkAbs(name+".sock"), ":"
	}
	l, err := net.Listen(network, address)
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	s := &server{Listener: l, url: scheme + slashes + l.Addr().String(), peers: make(chan string, 100), done: make(chan error, 100)}
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
	ts.Setenv(name+"_ADDR", a.String())
	if _, port, err := net.SplitHostPort(a.String()); err == nil {
		ts.Setenv(name+"_PORT", port)
	}
}

func smarthost(ts *testscript.TestScript, args []string) {
	name, words := args[0], args[1:]
	file := ts.MkAbs(name)
	d := &smtpd.Server{Hostname: "mx.example", MaxSize: 1 << 30}
	var refused *atomic.Int32
	if !slices.Contains(words, "noauth") {
		d.RequireAuth = true
		d.Auth = func(user, password string) error {
			if user != "user" || password != "s3kr1t" {
				refused.Add(1)
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
		scheme = "smtp"
	case slices.Contains(words, "unix"):
		scheme = "unix"
	}
	listen(ts, name, scheme, func(s *server, conn net.Conn) error {
		if slices.Contains(words, "leaves") { // without TLS
			conn = &leaving{Conn: conn}
		}
		mine := *d
		mine.Handle = func(_ context.Context, c smtpd.Client, e *envelope.Envelope, content io.Reader) error {
			if slices.Contains(words, "refuses") {
				return status.Refused.Errorf("no such mail here")
			}
			s.mails.Add(1)
			return errors.Join(os.WriteFile(file+".envelope", []byte(describe(c, e)), 0o600), keep(file+".eml", content))
		}
		if scheme == "smtp" {
			inside, err := submit.StartTLS(conn, config)
			if err != nil {
				return err
			}
			conn = inside
		}
		if scheme == "smtps" {
			return mine.Serve(context.Background(), tls.Server(conn, config))
		}
		return mine.Serve(context.Background(), conn)
	})
	refused = &find(ts, name).logins
}

// logins holds the number of refused logins between two bounds.
func logins(ts *testscript.TestScript, args []string) {
	n := int(find(ts, args[0]).logins.Load())
	least, _ := strconv.Atoi(args[1])
	most, _ := strconv.Atoi(args[2])
	if n < least || n > most {
		ts.Fatalf("%s has refused %d logins", args[0], n)
	}
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
	if e.RequireTLS {
		b.WriteString(" REQUIRETLS")
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
	switch {
	case implicit:
		scheme = "smtps"
	case slices.Contains(words, "unix"):
		scheme = "unix"
	}
	leaves := slices.Contains(words, "leaves")
	listen(ts, name, scheme, func(_ *server, conn net.Conn) error {
		if implicit {
			secure := tls.Server(conn, config)
			if err := secure.Handshake(); err != nil { // or it would be cut short by the first wait for silence
				return err
			}
			conn = secure
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

// socks serves SOCKS5 (RFC 1928) without a login: every name is 127.0.0.1, and
// the name is noted in NAME.asked.
func socks(ts *testscript.TestScript, args []string) {
	name, asked := args[0], ts.MkAbs(args[0]+".asked")
	listen(ts, name, "socks5", func(_ *server, client net.Conn) error {
		head := make([]byte, 5)
		if _, err := io.ReadFull(client, head[:3]); err != nil {
			return err
		}
		if len(args) > 1 {
			if err := socksLogin(client, args[1]); err != nil {
				return err
			}
		} else {
			client.Write([]byte{5, 0})
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		if head[3] != 3 {
			return fmt.Errorf("asked for an address of type %d", head[3])
		}
		host := make([]byte, int(head[4])+2)
		if _, err := io.ReadFull(client, host); err != nil {
			return err
		}
		n := len(host) - 2
		os.WriteFile(asked, append(host[:n:n], '\n'), 0o600)
		server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", int(host[n])<<8|int(host[n+1])))
		if err != nil {
			client.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
			return nil
		}
		defer server.Close()
		client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		go func() {
			io.Copy(server, client)
			server.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(client, server)
		return nil
	})
}

// socksLogin wants a login, as USER:PASSWORD (RFC 1929), and the client to offer one.
func socksLogin(client net.Conn, want string) error {
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil { // the second method
		return err
	}
	client.Write([]byte{5, 2})
	field := func() string {
		n := make([]byte, 1)
		io.ReadFull(client, n)
		text := make([]byte, n[0])
		io.ReadFull(client, text)
		return string(text)
	}
	io.ReadFull(client, make([]byte, 1)) // its version
	if got := field() + ":" + field(); got != want {
		client.Write([]byte{1, 1})
		return fmt.Errorf("logged in as %s", got)
	}
	client.Write([]byte{1, 0})
	return nil
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

// activate has a shell put its own number, which will be that of the program,
// where systemd does.
func activate(ts *testscript.TestScript, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	setAddress(ts, args[0], l.Addr())
	f, err := l.(*net.TCPListener).File()
	ts.Check(err)
	defer f.Close()
	words := append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, "sendoff"}, args[1:]...)
	cmd := exec.Command("/bin/sh", words...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "SENDOFF_TEST_HOME", "XDG_CONFIG_HOME"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
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
		if slices.Contains([]string{"domain", "queue", "runner", "retry", "lifetime", "queue-limit", "sessions", "aliases", "notify-command", "log", "log-format"}, key) {
			top = append(top, line)
			continue
		}
		lines = append(slices.DeleteFunc(lines, same), line)
	}
	if !slices.ContainsFunc(top, func(l string) bool { return strings.HasPrefix(l, "queue ") }) {
		top = append(top, `queue = "off"`)
	}
	if !slices.ContainsFunc(top, func(l string) bool { return strings.HasPrefix(l, "log ") }) {
		top = append(top, `log = "off"`)
	}
	if !slices.ContainsFunc(top, func(l string) bool { return strings.HasPrefix(l, "aliases ") }) {
		top = append(top, `aliases = "off"`) // whatever this machine has
	}
	lines = slices.Concat(top, []string{"[accounts.work]"}, lines, []string{""})
	ts.Check(os.WriteFile(ts.MkAbs("config.toml"), []byte(strings.Join(lines, "\n")), 0o600))
	ts.Setenv("SENDOFF_CONFIG", ts.MkAbs("config.toml"))
}

func config(ts *testscript.TestScript, args []string) {
	file := ts.MkAbs(args[0])
	text := os.Expand(ts.ReadFile(file), func(name string) string { return filepath.ToSlash(ts.Getenv(name)) })
	if !strings.Contains(text, "queue = ") && len(args) == 1 {
		text = "queue = \"off\"\n" + text
	}
	if !strings.Contains(text, "aliases = ") && len(args) == 1 {
		text = "aliases = \"off\"\n" + text
	}
	if !strings.Contains(text, "log = ") && len(args) == 1 {
		text = "log = \"off\"\n" + text
	}
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
	{"soon", func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, 10) }},
	{"future", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.AddDate(1, 0, 0), c.NotAfter.AddDate(1, 0, 0)
	}},
	{"other-name", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example"}, nil }},
	{"common-name", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }},
	{"client-only", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }},
}

// tlsConfig makes a self-signed certificate for 127.0.0.1 and localhost, with
// the faults that words ask for, and writes it to name.pem, and its key to
// name.key.
func tlsConfig(ts *testscript.TestScript, name string, words []string) *tls.Config {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(0, 0, 90),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, word := range words {
		if host, ok := strings.CutPrefix(word, "for:"); ok {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	for _, row := range certificates {
		if slices.Contains(words, row.word) {
			row.fault(template)
		}
	}
	var key crypto.Signer
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if slices.Contains(words, "rsa-exchange") {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	ts.Check(err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	if slices.Contains(words, "negative-serial") {
		der = negated(ts, der, key)
	}
	ts.Setenv(name+"_PIN", fmt.Sprintf("%x", sha256.Sum256(der)))
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), authority, 0o600))
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if slices.Contains(words, "asks") {
		config.ClientAuth = tls.RequireAnyClientCert
	}
	if slices.Contains(words, "rsa-exchange") {
		config.MaxVersion = tls.VersionTLS12
		config.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA}
	}
	if slices.Contains(words, "old") {
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	return config
}

// negated returns a certificate that key has signed, with the serial number 1, as
// one with -1, which the library does not make.
func negated(ts *testscript.TestScript, der []byte, key crypto.Signer) []byte {
	var c struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	_, err := asn1.Unmarshal(der, &c)
	ts.Check(err)
	const version = "\xa0\x03\x02\x01\x02"
	c.TBS.FullBytes = bytes.Replace(c.TBS.FullBytes, []byte(version+"\x02\x01\x01"), []byte(version+"\x02\x01\xff"), 1)
	sum := sha256.Sum256(c.TBS.FullBytes)
	c.Signature.Bytes, err = key.Sign(rand.Reader, sum[:], crypto.SHA256)
	c.Signature.BitLength = 8 * len(c.Signature.Bytes)
	ts.Check(err)
	der, err = asn1.Marshal(c)
	ts.Check(err)
	return der
}
