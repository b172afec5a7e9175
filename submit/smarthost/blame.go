package smarthost

import (
	"errors"
	"strings"

	"sendoff/config"
	"sendoff/submit/envelope"
	"sendoff/submit/smtp"
	"sendoff/submit/status"
)

// Blame puts the refusal of a sender that is the account's own on the account: the
// fault is not the message's, and no recipient's.
func Blame(a *config.Account, from envelope.Address, err error) error {
	var refusal *smtp.Refusal
	own, ok := a.Address()
	isOwn := ok && own.Key() == from.Key()
	if status.KindOf(err) == status.Limited || !errors.As(err, &refusal) || !a.Matches(from) && !isOwn {
		return err
	}
	c := status.Of(err)
	badSender := c.Subject == 1 && (c.Detail == 7 || c.Detail == 8)
	named := c.Subject == 7 && strings.Contains(refusal.Reply.String(), from.String())
	if !badSender && !named {
		return err
	}
	c.Class = 4
	return status.Config.With(c, err)
}
