package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"sendoff/submit/status"

	xdg "github.com/xdg-go/scram"
)

// The examples of RFC 5802 section 5 and RFC 7677 section 3; user is "user",
// password "pencil".
var vectors = [...]struct{ mechanism, nonce, first, proof, last string }{
	{"SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
	{"SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
}

// scripted returns the client of vector i.
func scripted(t testing.TB, i int) *Client {
	c := row(t, vectors[i].mechanism).Client("user", "pencil")
	c.exchange.(*scram).nonce = vectors[i].nonce
	return c
}

func TestSCRAMVectors(t *testing.T) {
	for i, v := range vectors {
		c := scripted(t, i)
		said, err := converse(c, v.first, v.last)
		want := v.mechanism + " n,,n=user,r=" + v.nonce + " " + v.proof + " "
		if got := strings.Join(said, " "); err != nil || got != want {
			t.Errorf("%s: said %q, %v, want %q", v.mechanism, got, err, want)
		}
		if err := c.Verify(); err != nil {
			t.Errorf("%s: %v", v.mechanism, err)
		}
	}
}

// TestSCRAMIgnoredInitialResponse: the server ignores the initial response and asks again.
func TestSCRAMIgnoredInitialResponse(t *testing.T) {
	v, c := vectors[1], scripted(t, 1)
	said, err := converse(c, "", v.first, v.last)
	if err != nil || said[1] != said[2] || said[3] != v.proof || c.Verify() != nil {
		t.Errorf("said %q, %v, verify %v", said, err, c.Verify())
	}
}

// TestSCRAMNonce: two logins do not have the same nonce.
func TestSCRAMNonce(t *testing.T) {
	m := row(t, "SCRAM-SHA-1")
	_, a, _ := m.Client("ann", "pw").Start()
	_, b, _ := m.Client("ann", "pw").Start()
	if bytes.Equal(a, b) || len(a) < len("n,,n=ann,r=")+20 {
		t.Errorf("first messages %q and %q", a, b)
	}
}

// TestSCRAMFaults: every message that a server must not send ends the exchange, and a
// positive reply after it is not believed.
func TestSCRAMFaults(t *testing.T) {
	v := vectors[1]
	change := strings.NewReplacer // of the good messages
	tests := []struct {
		challenges string // separated by spaces; FIRST and LAST are the correct messages
		kind       status.Kind
		want       string // in the reason, or in Verify if there is no reason
	}{
		{"", status.Insecure, "server says yes without proof"},
		{"FIRST", status.Insecure, "server says yes without proof"},
		{"FIRST LAST LAST", status.AuthFailed, "challenge that SCRAM-SHA-256 does not have"},
		{"FIRST FIRST", status.AuthFailed, "last message cannot be understood"},
		{"LAST", status.AuthFailed, "first message cannot be understood"},
		{" ", status.AuthFailed, "first message cannot be understood"}, // twice empty
		{change("r=rOpr", "r=sOpr").Replace(v.first), status.AuthFailed, "does not go on from our nonce"},
		{change("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "").Replace(v.first), status.AuthFailed, "does not go on from our nonce"},
		{change("%hv", "\x7fhv").Replace(v.first), status.AuthFailed, "does not go on from our nonce"},
		{change("s=W2", "s=X2").Replace(v.first) + " LAST", status.Insecure, "server does not know the password"},
		{change("s=W22Z", "s=W22Z#").Replace(v.first), status.AuthFailed, "has no salt"},
		{change("s=W22ZaJ0SNY7soEsUEjb6gQ==", "s=").Replace(v.first), status.AuthFailed, "has no salt"},
		{change("i=4096", "i=4097").Replace(v.first) + " LAST", status.Insecure, "server does not know the password"},
		{change("i=4096", "i=4095").Replace(v.first), status.Insecure, "asks for 4095 iterations, fewer than 4096"},
		{change("i=4096", "i=1").Replace(v.first), status.Insecure, "asks for 1 iterations"},
		{change("i=4096", "i=0").Replace(v.first), status.AuthFailed, "has no iteration count up to 2097152"},
		{change("i=4096", "i=2097153").Replace(v.first), status.AuthFailed, "has no iteration count up to 2097152"},
		{change("i=4096", "i=18446744073709555712").Replace(v.first), status.AuthFailed, "has no iteration count"},
		{change("i=4096", "i=-4096").Replace(v.first), status.AuthFailed, "has no iteration count"},
		{change("i=4096", "i=04096").Replace(v.first), status.AuthFailed, "has no iteration count"},
		{change("i=4096", "i=").Replace(v.first), status.AuthFailed, "has no iteration count"},
		{change(",i=4096", "").Replace(v.first), status.AuthFailed, "first message cannot be understood"},
		{"m=must," + v.first, status.AuthFailed, "wants an extension"},
		{change(",s=", ",m=must,s=").Replace(v.first), status.AuthFailed, "first message cannot be understood"},
		{"FIRST " + change("v=6", "v=7").Replace(v.last), status.Insecure, "server does not know the password"},
		{"FIRST v=", status.Insecure, "server does not know the password"},
		{"FIRST v=6rri", status.Insecure, "server does not know the password"},
		{"FIRST v=###", status.AuthFailed, "last message cannot be understood"},
		{"FIRST x=1", status.AuthFailed, "last message cannot be understood"},
		{"FIRST e=invalid-proof", status.AuthFailed, "server refuses: invalid-proof"},
		{"e=unknown-user\x1b,x=y", status.AuthFailed, "server refuses: unknown-user?,x=y"},
		{"FIRST e=other-error LAST", status.AuthFailed, "server refuses: other-error"},
		{"FIRST x=1 LAST", status.AuthFailed, "last message cannot be understood"},
	}
	for _, tt := range tests {
		c := scripted(t, 1)
		if _, _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var err error
		for challenge := range strings.SplitSeq(change("FIRST", v.first, "LAST", v.last).Replace(tt.challenges), " ") {
			if tt.challenges != "" {
				_, err = c.Next([]byte(challenge))
			}
		}
		if err != nil && err != c.Reason() {
			t.Errorf("%q: error %v, reason %v", tt.challenges, err, c.Reason())
		}
		err = c.Verify()
		if err == nil || !strings.Contains(err.Error(), tt.want) || status.KindOf(err) != tt.kind {
			t.Errorf("%q: %v %v, want %v with %q", tt.challenges, status.KindOf(err), err, tt.kind, tt.want)
		}
	}
}

// TestSCRAMAccepts: unusual messages that a server may send.
func TestSCRAMAccepts(t *testing.T) {
	for _, message := range []string{
		"r=abc,s=AA==,i=4096", "r=abc,s=AA==,i=2097152", "r=abc,s=AA==,i=4096,x=1,y=2",
	} {
		if f, err := parseServerFirst(message, "ab"); err != nil || f.nonce != "abc" || len(f.salt) != 1 {
			t.Errorf("%q: %+v, %v", message, f, err)
		}
	}
	c := scripted(t, 1)
	if _, err := converse(c, vectors[1].first, vectors[1].last+",x=1"); err != nil || c.Verify() != nil {
		t.Errorf("extension in the last message: %v, %v", err, c.Verify())
	}
}

// TestSCRAMAnswersRefusal: the client answers a refusal, so that the reply of the server
// gives its reason, and is not about a cancelled exchange.
func TestSCRAMAnswersRefusal(t *testing.T) {
	answer, err := scripted(t, 1).Next([]byte("e=no-resources"))
	if answer == nil || len(answer) > 0 || err != nil {
		t.Errorf("answer %v, %v", answer, err)
	}
}

// connect makes a TLS connection inside the process, and returns the states of
// both ends, and the server's certificate.
func connect(t testing.TB, config *tls.Config) (server, client *tls.ConnectionState, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"x.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	config.RootCAs, config.ServerName = x509.NewCertPool(), "x.example"
	config.RootCAs.AddCert(cert)
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	c := tls.Client(here, config)
	s := tls.Server(there, &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		SessionTicketsDisabled: true, // nobody reads them from the pipe
	})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ss, cs := s.ConnectionState(), c.ConnectionState()
	return &ss, &cs, cert
}

// xdgServer returns a server of another implementation, for one login of the user "a,b=c"
// with the password "pencil".
func xdgServer(t *testing.T, mechanism string, binding *xdg.ChannelBinding) *xdg.ServerConversation {
	h := xdg.SHA1
	if strings.Contains(mechanism, "256") {
		h = xdg.SHA256
	}
	stored, err := h.NewClient("a,b=c", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	server, err := h.NewServer(func(user string) (xdg.StoredCredentials, error) {
		if user != "a,b=c" {
			t.Errorf("user %q", user)
		}
		return stored.GetStoredCredentialsWithError(xdg.KeyFactors{Salt: "saltsalt", Iters: 5000})
	})
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case binding == nil:
		return server.NewConversation()
	case isPlus(mechanism):
		return server.NewConversationWithChannelBindingRequired(*binding)
	}
	return server.NewConversationWithChannelBinding(*binding)
}

// play runs the exchange of c and server to its end, and returns the error of the server;
// "": the login has succeeded.
func play(t *testing.T, c *Client, server *xdg.ServerConversation) (first, refusal string) {
	t.Helper()
	_, message, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	first = string(message)
	for !server.Done() {
		challenge, refused := server.Step(string(message))
		if message, err = c.Next([]byte(challenge)); err != nil {
			t.Fatalf("challenge %q: %v", challenge, err)
		}
		if refused != nil {
			return first, challenge
		}
	}
	if len(message) > 0 || !server.Valid() {
		t.Errorf("at the end: %q, valid %v", message, server.Valid())
	}
	return first, ""
}

// TestInterop: logins at a server of another implementation, which computes the binding at
// its own end of the connection.
func TestInterop(t *testing.T) {
	exporter := func(s *tls.ConnectionState, _ *x509.Certificate) (xdg.ChannelBinding, error) {
		return xdg.NewTLSExporterBinding(s)
	}
	endPoint := func(_ *tls.ConnectionState, c *x509.Certificate) (xdg.ChannelBinding, error) {
		return xdg.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}})
	}
	flipped := func(s *tls.ConnectionState, _ *x509.Certificate) (xdg.ChannelBinding, error) {
		b, err := xdg.NewTLSExporterBinding(s)
		b.Data[31] ^= 1
		return b, err
	}
	modern, old := &tls.Config{}, &tls.Config{MaxVersion: tls.VersionTLS12}
	// A client that may renegotiate has no exporter, like TLS 1.2 without
	// extended master secrets, which two ends in Go always agree on.
	unsafe := &tls.Config{MaxVersion: tls.VersionTLS12, Renegotiation: tls.RenegotiateOnceAsClient}
	const all = "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1"
	tests := []struct {
		what             string
		offered, allowed string
		config           *tls.Config // nil: no TLS
		binding          func(*tls.ConnectionState, *x509.Certificate) (xdg.ChannelBinding, error)
		want             string // mechanism, and how the first message begins
		refusal          string
	}{
		{"no TLS", "SCRAM-SHA-256", "", nil, nil, "SCRAM-SHA-256 n,,", ""},
		{"no TLS", "SCRAM-SHA-1", "", nil, nil, "SCRAM-SHA-1 n,,", ""},
		{"TLS 1.3", all, "", modern, exporter, "SCRAM-SHA-256-PLUS p=tls-exporter,,", ""},
		{"TLS 1.3", "SCRAM-SHA-1-PLUS", "", modern, exporter, "SCRAM-SHA-1-PLUS p=tls-exporter,,", ""},
		{"TLS 1.2", all, "", old, exporter, "SCRAM-SHA-256-PLUS p=tls-exporter,,", ""},
		{"no exporter", all, "", unsafe, endPoint, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,", ""},
		{"no exporter", "SCRAM-SHA-1-PLUS", "", unsafe, endPoint, "SCRAM-SHA-1-PLUS p=tls-server-end-point,,", ""},
		{"server cannot bind", "SCRAM-SHA-256", "", modern, nil, "SCRAM-SHA-256 y,,", ""},
		{"server cannot bind", "SCRAM-SHA-1 PLAIN", "SCRAM-SHA-1", modern, nil, "SCRAM-SHA-1 y,,", ""},
		{"account will not bind", all, "scram-sha-256", modern, exporter, "SCRAM-SHA-256 n,,", ""},
		{"offer removed on the way", "SCRAM-SHA-256", "", modern, exporter, "SCRAM-SHA-256 y,,",
			"e=server-does-support-channel-binding"},
		{"somebody between", all, "", modern, flipped, "SCRAM-SHA-256-PLUS p=tls-exporter,,",
			"e=channel-bindings-dont-match"},
		{"other certificate", all, "", unsafe, func(*tls.ConnectionState, *x509.Certificate) (xdg.ChannelBinding, error) {
			_, _, other := connect(t, &tls.Config{})
			return endPoint(nil, other)
		}, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,", "e=channel-bindings-dont-match"},
	}
	for _, tt := range tests {
		t.Run(tt.what+"/"+tt.want, func(t *testing.T) {
			have := Facts{User: "a,b=c", HasSecret: true}
			var binding *xdg.ChannelBinding
			if tt.config != nil {
				server, client, cert := connect(t, tt.config.Clone())
				have.State, have.Protected = client, true
				if tt.binding != nil {
					b, err := tt.binding(server, cert)
					if err != nil {
						t.Fatal(err)
					}
					binding = &b
				}
			}
			m, err := Choose(strings.Fields(tt.offered), strings.Fields(tt.allowed), have)
			if err != nil {
				t.Fatal(err)
			}
			c := m.Client("a,b=c", "pencil")
			first, refusal := play(t, c, xdgServer(t, m.Name, binding))
			if got := m.Name + " " + first; !strings.HasPrefix(got, tt.want) || refusal != tt.refusal {
				t.Errorf("got %q, refusal %q", got, refusal)
			}
			if err := c.Verify(); (err == nil) != (tt.refusal == "") {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// TestInteropWrongPassword: client and server both refuse the other.
func TestInteropWrongPassword(t *testing.T) {
	for _, name := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
		c := row(t, name).Client("a,b=c", "crayon")
		if _, refusal := play(t, c, xdgServer(t, name, nil)); refusal != "e=invalid-proof" || c.Verify() == nil {
			t.Errorf("%s: refusal %q, verify %v", name, refusal, c.Verify())
		}
	}
}

// TestEndPoint: the hash is that of the signature (RFC 5929 section 4.1).
func TestEndPoint(t *testing.T) {
	sums := map[string]string{ // of "x"
		"sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		"sha384": "d752c2c51fba0e29aa190570a9d4253e44077a058d3297fa3a5630d5bd012622f97c28acaed313b5c83bb990caa7da85",
		"sha512": "a4abd4448c49562d828115d13a1fccea927f52b4d5459297f8b43e42da89238bc13626e43dcb38ddb082488927ec904fb42057443983e88585179d50551afe62",
	}
	for a := x509.UnknownSignatureAlgorithm; a <= x509.PureEd25519; a++ {
		want := "" // MD2 is not in use, Ed25519 has no single hash
		switch name := a.String(); {
		case strings.Contains(name, "MD5"), strings.Contains(name, "SHA1"), strings.Contains(name, "SHA256"):
			want = sums["sha256"]
		case strings.Contains(name, "SHA384"):
			want = sums["sha384"]
		case strings.Contains(name, "SHA512"):
			want = sums["sha512"]
		}
		got := hex.EncodeToString(endPoint(&x509.Certificate{Raw: []byte("x"), SignatureAlgorithm: a}))
		if got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}

// FuzzSCRAM compares this client with that of another implementation: if both have an
// answer, the answers are the same, and if this client believes a server, so does the other.
func FuzzSCRAM(f *testing.F) {
	v := vectors[1]
	f.Add(v.first, v.last)
	f.Add(v.first+",x=1", v.last+",x=1")
	f.Add(v.first, "e=invalid-proof")
	f.Add("m=x,"+v.first, "v=")
	f.Add("r="+v.nonce+"x,s=AA==,i=4096", "v="+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add("r="+v.nonce+",s=,i=0", "")
	f.Fuzz(func(t *testing.T, first, last string) {
		if p, err := parseServerFirst(first, v.nonce); err == nil && p.iterations > 10000 {
			t.Skip("takes long")
		}
		ours := scripted(t, 1)
		ours.Start()
		theirClient, err := xdg.SHA256.NewClient("user", "pencil", "")
		if err != nil {
			t.Fatal(err)
		}
		theirs := theirClient.WithNonceGenerator(func() string { return v.nonce }).NewConversation()
		if _, err := theirs.Step(""); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			return // the initial response once more
		}
		our, ourErr := ours.Next([]byte(first))
		if ourErr != nil || ours.Reason() != nil {
			if ours.Verify() == nil {
				t.Fatalf("%q: %v, and verified", first, ourErr)
			}
			return
		}
		if their, err := theirs.Step(first); err == nil && their != string(our) {
			t.Fatalf("%q:\n  our answer %q\ntheir answer %q", first, our, their)
		}
		ours.Next([]byte(last))
		theirs.Step(last)
		if ours.Verify() == nil && !theirs.Valid() {
			t.Fatalf("%q, %q: verified", first, last)
		}
	})
}
