package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strconv"
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// The iteration counts that a server may ask for. RFC 5802 section 5.1 sets
// the lower bound: with fewer, a server that only plays the real one learns
// the password from our proof too easily. The upper bound is ours, because a
// hostile server could keep us busy for hours; it is above 1.3 million, the
// most that is recommended in earnest (for SHA-1), and takes about half a
// second.
const (
	minIterations = 4096
	maxIterations = 1 << 21
)

// scram is SCRAM (RFC 5802, RFC 7677), with and without channel binding. Both
// sides prove that they know the password, or what was derived from it.
//
//	stage    server's message   ours
//	opening                     client-first: binding header, user, nonce
//	proving  server-first       client-final: the nonce of both, proof
//	waiting  server-final       empty: the server's proof was good
//	proved   (none)
//
// The password is taken as it is. RFC 5802 wants it prepared by SASLprep,
// which changes no ASCII and nothing that a keyboard commonly gives; and
// Dovecot, for one, does not prepare the passwords that it stores.
type scram struct {
	name         string
	hash         func() hash.Hash
	user, secret string
	header       string // begins our first message and says whether we bind
	binding      []byte
	nonce        string

	stage     stage
	asked     bool   // the server wanted our first message twice
	signature []byte // the server's proof, once we know what it must be
}

type stage uint8

const (
	opening stage = iota
	proving
	waiting
	proved
)

func newSCRAM(m Mechanism, user, secret string) sasl.Client {
	s := &scram{name: m.Name, hash: m.hash, user: user, secret: secret, nonce: rand.Text()}
	binds := m.wants&aBinding != 0
	s.header = m.channel.header(binds)
	if binds {
		s.binding = m.channel.data
	}
	return s
}

func (s *scram) Start() (string, []byte, error) {
	s.stage = proving
	return s.name, []byte(s.header + s.bare()), nil
}

// bare is client-first-message-bare.
func (s *scram) bare() string { return "n=" + saslName(s.user) + ",r=" + s.nonce }

// proven reports whether the server has proved that it knows the password.
func (s *scram) proven() bool { return s.stage == proved }

func (s *scram) Next(challenge []byte) ([]byte, error) {
	message := string(challenge)
	if complaint, ok := strings.CutPrefix(message, "e="); ok {
		// A cancelled exchange is answered by a reply about cancelling;
		// after an empty answer comes the one that tells what is wrong.
		return []byte{}, status.AuthFailed.Errorf("login: server refuses: %s", shown(complaint))
	}
	switch {
	case s.stage == proving && message == "" && !s.asked:
		s.asked = true // it ignored the initial response
		return []byte(s.header + s.bare()), nil
	case s.stage == proving:
		return s.prove(message)
	case s.stage == waiting:
		return s.check(message)
	}
	return nil, status.AuthFailed.Errorf("login: server sent a challenge that %s does not have", s.name)
}

// prove returns the proof that the server-first message asks for, and
// remembers what the server's own must be.
func (s *scram) prove(message string) ([]byte, error) {
	first, err := parseServerFirst(message, s.nonce)
	if err != nil {
		return nil, err
	}
	salted, err := pbkdf2.Key(s.hash, s.secret, first.salt, first.iterations, s.hash().Size())
	if err != nil {
		return nil, status.AuthFailed.Errorf("login: %s: %w", s.name, err)
	}
	bound := base64.StdEncoding.EncodeToString(append([]byte(s.header), s.binding...))
	final := "c=" + bound + ",r=" + first.nonce
	all := s.bare() + "," + message + "," + final

	clientKey := s.mac(salted, "Client Key")
	storedKey := s.hash()
	storedKey.Write(clientKey)
	proof := s.mac(storedKey.Sum(nil), all)
	subtle.XORBytes(proof, proof, clientKey)

	s.signature = s.mac(s.mac(salted, "Server Key"), all)
	s.stage = waiting
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// check holds the server-final message against the proof that it must be.
func (s *scram) check(message string) ([]byte, error) {
	text, ok := strings.CutPrefix(message, "v=")
	text, _, _ = strings.Cut(text, ",") // extensions, all of them optional
	signature, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case !ok || err != nil:
		return nil, status.AuthFailed.Errorf("login: SCRAM: the server's last message cannot be understood")
	case !hmac.Equal(signature, s.signature):
		return nil, status.Insecure.Errorf("login: SCRAM: server does not know the password")
	}
	s.stage = proved
	return []byte{}, nil
}

func (s *scram) mac(key []byte, text string) []byte {
	mac := hmac.New(s.hash, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// A serverFirst is what a server's first message says.
type serverFirst struct {
	nonce      string // ours and its own
	salt       []byte
	iterations int
}

// parseServerFirst reads "r=NONCE,s=SALT,i=COUNT", which may have extensions
// behind it. One before it is mandatory to understand, and there is none that
// we do.
func parseServerFirst(message, nonce string) (serverFirst, error) {
	var f serverFirst
	bad := func(what string) (serverFirst, error) {
		return f, status.AuthFailed.Errorf("login: SCRAM: server's first message %s", what)
	}
	if strings.HasPrefix(message, "m=") {
		return bad("wants an extension that sendoff does not know")
	}
	fields := strings.SplitN(message, ",", 4)
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "r=") ||
		!strings.HasPrefix(fields[1], "s=") || !strings.HasPrefix(fields[2], "i=") {
		return bad("cannot be understood")
	}
	f.nonce = fields[0][2:]
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if !strings.HasPrefix(f.nonce, nonce) || len(f.nonce) == len(nonce) || strings.ContainsFunc(f.nonce, unprintable) {
		return bad("does not go on from our nonce")
	}
	var err error
	f.salt, err = base64.StdEncoding.Strict().DecodeString(fields[1][2:])
	if err != nil || len(f.salt) == 0 {
		return bad("has no salt")
	}
	count, err := strconv.ParseUint(fields[2][2:], 10, 31)
	switch {
	case err != nil || fields[2][2] == '0' || count > maxIterations:
		return bad("has no iteration count up to " + strconv.Itoa(maxIterations))
	case count < minIterations:
		return f, status.Insecure.Errorf("login: SCRAM: server asks for %d iterations, fewer than %d", count, minIterations)
	}
	f.iterations = int(count)
	return f, nil
}
