package auth

import (
	"strings"

	"sendoff/submit/status"

	"github.com/emersion/go-sasl"
)

// login is LOGIN, which no RFC describes: the server asks for the user name,
// then for the password, in whatever words it likes.
//
//	challenge   answer
//	1           user
//	2           password; user once more if it says "user"
//	3           password, if 2 was the user
//
// go-sasl's client takes no wording but "Password:". There is no initial
// response: some servers ignore it or refuse it, and when the next challenge
// is then empty, nobody can say which of the two it asks for.
type login struct {
	user, secret string
	users        int // how many times the user name was sent
	done         bool
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
