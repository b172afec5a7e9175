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

// The iteration counts that a server may ask for. RFC 5802 section 5.1 sets the minimum:
// with fewer iterations, a false server could guess the password from the client's proof
// too easily. The maximum is not from the RFC: without one, a hostile server could keep the
// client busy for hours. It takes about half a second, and is more than the highest serious
// recommendation, 1.3 million for SHA-1.
const (
	minIterations = 4096
	maxIterations = 1 << 21
)

// scram is SCRAM (RFC 5802, RFC 7677), with or without channel binding. Client and server
// prove to each other that they know the password, or a key that was derived from it.
//
//	stage    message of the server   message of the client
//	opening                          client-first: binding header, user, nonce
//	proving  server-first            client-final: both nonces, the client's proof
//	waiting  server-final            empty: the server's proof was good
//	proved   (none)
//
// The password is not prepared with SASLprep, although RFC 5802 requires it: SASLprep does
// not change ASCII or anything that is typed on usual keyboards, and some servers, such as
// Dovecot, do not prepare the passwords that they store.
type scram struct {
	name         string
	hash         func() hash.Hash
	user, secret string
	header       string // the start of the first message; see channel.header
	binding      []byte // the data of the channel binding; nil: none
	nonce        string // of the client

	stage     stage
	asked     bool   // the server has asked for client-first again
	signature []byte // what the server's proof must be, from server-first on
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
	binds := m.needs&aBinding != 0
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

// bare returns client-first-message-bare (RFC 5802 section 7).
func (s *scram) bare() string { return "n=" + saslName(s.user) + ",r=" + s.nonce }

// proven reports whether the server has proved that it knows the password.
func (s *scram) proven() bool { return s.stage == proved }

func (s *scram) Next(challenge []byte) ([]byte, error) {
	message := string(challenge)
	if complaint, ok := strings.CutPrefix(message, "e="); ok {
		// To an empty answer the server replies with its reason; to a cancelled
		// exchange it would only reply that the exchange was cancelled.
		return []byte{}, status.AuthFailed.Errorf("login: server refuses: %s", shown(complaint))
	}
	switch {
	case s.stage == proving && message == "" && !s.asked:
		s.asked = true // the server has ignored the initial response
		return []byte(s.header + s.bare()), nil
	case s.stage == proving:
		return s.prove(message)
	case s.stage == waiting:
		return s.check(message)
	}
	return nil, status.AuthFailed.Errorf("login: server sent a challenge that %s does not have", s.name)
}

// prove returns client-final, the answer to message, which is server-first. It stores the
// proof that the server must send, in signature.
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

// check checks the server's proof in message, which is server-final.
func (s *scram) check(message string) ([]byte, error) {
	text, ok := strings.CutPrefix(message, "v=")
	text, _, _ = strings.Cut(text, ",") // optional extensions may follow
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

// A serverFirst is the server-first message.
type serverFirst struct {
	nonce      string // the nonce of the client, followed by that of the server
	salt       []byte
	iterations int
}

// parseServerFirst parses "r=NONCE,s=SALT,i=COUNT". Optional extensions may follow; "m="
// before it is a mandatory extension, of which none is known here. nonce is the client's.
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
