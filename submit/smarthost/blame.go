package smarthost

import (
	"errors"
	"strings"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// Blame changes the error of a refused sender into a temporary error of the account, if
// from is an address of the account: the fault is then not the message's or a
// recipient's. It returns all other errors as they are.
func Blame(a *config.Account, from envelope.Address, err error) error {
	var refusal *smtp.Refusal
	own, ok := a.Address()
	isOwn := ok && own.Key() == from.Key()
	if status.KindOf(err) == status.Limited || !errors.As(err, &refusal) || !a.Matches(from) && !isOwn {
		return err
	}
	c := status.Of(err)
	isBadSender := c.Subject == 1 && (c.Detail == 7 || c.Detail == 8) // RFC 3463 section 3.2
	namesSender := c.Subject == 7 && strings.Contains(refusal.Reply.String(), from.String())
	if !isBadSender && !namesSender {
		return err
	}
	c.Class = 4
	return status.Config.With(c, err)
}
