package smtpd

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// A mechanism is a SASL mechanism that the server offers.
type mechanism struct {
	name   string
	prompt string // the first challenge, if the client sends no initial response
	// read parses the first response of the client, and asks for the rest.
	read func(s *session, response []byte) (user, password string, err error)
}

var mechanisms = []mechanism{
	{"PLAIN", "", (*session).plain},
	{"LOGIN", "Username:", (*session).login},
}

func offerAuth(s *session) (string, bool) {
	var names []string
	for _, m := range mechanisms {
		names = append(names, m.name)
	}
	return strings.Join(names, " "), s.Auth != nil
}

// auth carries out AUTH (RFC 4954 section 4).
func (s *session) auth(args string) {
	name, initial, given := strings.Cut(args, " ")
	i := slices.IndexFunc(mechanisms, func(m mechanism) bool { return strings.EqualFold(m.name, name) })
	switch {
	case s.Auth == nil:
		s.fault(502, "5.5.1", "AUTH is not offered")
		return
	case !s.client.Extended || s.mail != nil || s.client.User != "":
		s.fault(503, "5.5.1", "AUTH comes once, after EHLO and before MAIL")
		return
	case i < 0:
		s.fault(504, "5.5.4", "unknown mechanism")
		return
	}
	var response []byte
	var err error
	if given {
		response, err = unbase64(initial)
	} else {
		response, err = s.challenge(mechanisms[i].prompt)
	}
	var user, password string
	if err == nil {
		user, password, err = mechanisms[i].read(s, response)
	}
	var bad *badLine
	switch {
	case errors.As(err, &bad):
		s.fault(501, "5.5.2", bad.why)
	case err != nil:
		s.broke(err)
	case user == "" || s.Auth(user, password) != nil:
		s.fault(535, "5.7.8", "user name or password wrong")
	default:
		s.client.User = user
		s.loggedIn()
		s.reply(235, "2.7.0", "welcome")
	}
}

// plain reads the response of PLAIN (RFC 4616). It refuses an authorization identity that
// is not the user who logs in.
func (s *session) plain(response []byte) (user, password string, err error) {
	part := strings.Split(string(response), "\x00")
	if len(part) != 3 || part[0] != "" && part[0] != part[1] {
		return "", "", &badLine{"not what PLAIN asks for"}
	}
	return part[1], part[2], nil
}

// login reads the two responses of LOGIN. Some clients know no other prompts than
// "Username:" and "Password:".
func (s *session) login(response []byte) (user, password string, err error) {
	secret, err := s.challenge("Password:")
	return string(response), string(secret), err
}

// challenge sends text as a challenge, and returns the decoded response of the client.
func (s *session) challenge(text string) ([]byte, error) {
	s.reply(334, "", base64.StdEncoding.EncodeToString([]byte(text)))
	s.allow()
	line, err := s.line(maxResponse)
	if err != nil {
		return nil, err
	}
	if line == "*" {
		return nil, &badLine{"cancelled"}
	}
	if line == "" {
		return nil, nil
	}
	return unbase64(line)
}

// unbase64 decodes a response. "=" is an empty response (RFC 4954 section 4).
func unbase64(text string) ([]byte, error) {
	if text == "=" {
		return nil, nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || text == "" {
		return nil, &badLine{"not base64"}
	}
	return raw, nil
}
