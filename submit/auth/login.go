package auth

import (
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// login is LOGIN, which no RFC describes: the server asks for the user name, then for the
// password, in words of its choice.
//
//	challenge   answer
//	1           user
//	2           password, or the user again if the challenge contains "user"
//	3           password, if the answer to 2 was the user
//
// The client of go-sasl accepts no other words than "Password:". There is no initial
// response: some servers ignore or refuse it, and if the next challenge is empty, the
// client could not know whether it asks for the user or for the password.
type login struct {
	user, secret string
	users        int  // how often the user name was sent
	done         bool // the password was sent
}

func newLogin(_ Mechanism, user, secret string) sasl.Client {
	return &login{user: user, secret: secret}
}

func (l *login) Start() (string, []byte, error) { return "LOGIN", nil, nil }

func (l *login) Next(challenge []byte) ([]byte, error) {
	if l.done {
		return nil, status.AuthFailed.Errorf("login: the server asks for more after the password")
	}
	asksUser := strings.Contains(strings.ToLower(string(challenge)), "user")
	if l.users == 0 || l.users == 1 && asksUser {
		l.users++
		return []byte(l.user), nil
	}
	if asksUser {
		return nil, status.AuthFailed.Errorf("login: server asks for the user name again and again")
	}
	l.done = true
	return []byte(l.secret), nil
}
