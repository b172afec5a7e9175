package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sendoff/config"
	"sendoff/config/discover"
	"sendoff/submit/envelope"
	"sendoff/submit/process"
	"sendoff/submit/status"
)

// askAddress gets the mail address. If a person answers with a provider or a host, that is
// taken as the server, and the address is asked for again.
func (c *conversation) askAddress(context.Context) error {
	check := func(text string) (err error) {
		if c.Server == "" && !strings.Contains(text, "@") && (discover.IsProvider(text) || strings.Contains(text, ".")) {
			c.Server = text
			if !c.There {
				return fmt.Errorf("--setup needs a mail address, and %s is a server: sendoff --setup ann@example.org --server %s", text, process.ShellWord(text))
			}
			return errors.New(text + " is taken as the server; now give the mail address")
		}
		a, err := envelope.Parse(text)
		if err == nil {
			c.who, err = discover.NewAddress(a)
		}
		return err
	}
	if c.Address != "" {
		err := check(c.Address)
		if err == nil || !c.There {
			return status.Usage.Wrap(err)
		}
		c.show("%v", err)
	} else {
		c.showAccounts()
	}
	_, err := c.ask(question{text: "Your mail address", needs: "a mail address", give: "sendoff --setup ann@example.org", check: check})
	return err
}

// showAccounts shows a person the names of the existing accounts.
func (c *conversation) showAccounts() {
	if !c.There || len(c.config.Accounts) == 0 {
		return
	}
	var names []string
	for _, a := range c.config.Accounts {
		names = append(names, a.Name)
	}
	c.show("Accounts that exist already: %s (sendoff --list shows them)", status.Line(strings.Join(names, ", "), 40))
}

// finder returns a Finder for the server of the address.
func (c *conversation) finder() *discover.Finder {
	return &discover.Finder{Address: c.who, Try: func(ctx context.Context, s config.Server) error {
		_, err := c.Try(ctx, Trial{Account: c.unnamed(s)})
		return err
	}}
}

// findServer finds the server: with --server, from the sources, or from the person.
func (c *conversation) findServer(ctx context.Context) error {
	if c.Server != "" {
		err := c.nameServer(ctx, c.Server)
		if err == nil || !c.There || errors.Is(err, discover.ErrOffline) {
			return err
		}
		c.show("%v", err)
		return c.askServer(ctx, "")
	}
	f := c.finder()
	found, err := discover.Sources[0].Start(ctx, f)()
	if err == nil {
		c.show("%s: %s", discover.Sources[0].Name, found.Server)
		return c.take(found)
	}
	if status.KindOf(err) == status.Config {
		return err
	}
	return c.search(ctx, f, err)
}

// search asks all sources except the first, whose error is known. The sources are asked at
// the same time.
func (c *conversation) search(ctx context.Context, f *discover.Finder, known error) error {
	limited, cancel := context.WithTimeout(ctx, discover.Patience)
	defer cancel()
	offline := sync.OnceValue(func() error { return f.Offline(limited) })
	go offline()
	sources := discover.Sources[1:]
	waits := make([]func() (*discover.Finding, error), len(sources))
	done := c.waiting("Looking for the mail server of %s", c.who.ASCII)
	defer done()
	for i, source := range sources {
		if source.Ask == "" || c.ISPDB {
			waits[i] = source.Start(limited, f)
		}
	}
	failed := []string{known.Error()}
	var unproven *discover.Finding
	declined := make(map[string]bool)
	for i, source := range sources {
		var found *discover.Finding
		var err error
		if waits[i] != nil {
			found, err = waits[i]()
		} else {
			done()
			c.showFailed(&failed)
			found, err = c.consult(ctx, f, source)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case status.KindOf(err) == status.Config, status.KindOf(err) == status.NoInput:
			return err
		case err != nil && offline() != nil:
			return offline()
		case err != nil:
			failed = append(failed, err.Error())
			continue
		}
		offer := found.Server.String() + found.Unproven
		if declined[offer] {
			continue
		}
		done()
		c.show("%s: %s", source.Name, found.Server)
		ok, err := c.agree(found)
		if err != nil {
			return err
		}
		if ok {
			return c.take(found)
		}
		declined[offer] = true
		if unproven == nil && found.Unproven != "" {
			unproven = found
		}
	}
	done()
	c.showFailed(&failed)
	if unproven != nil && !c.There {
		return status.Insecure.Errorf("%s; if this is the right server, give --server %s", unproven.Unproven, unproven.Server)
	}
	return c.askServer(ctx, "")
}

// showFailed shows the errors of sources, and empties the list.
func (c *conversation) showFailed(failed *[]string) {
	for _, line := range *failed {
		c.show("%s", line)
	}
	*failed = nil
}

// consult asks a source that needs the person's consent.
func (c *conversation) consult(ctx context.Context, f *discover.Finder, s discover.Source) (*discover.Finding, error) {
	if !c.There {
		return nil, errors.New(s.Name + ": skipped (allow it with --ispdb)")
	}
	ok, err := c.yes(question{text: strings.ReplaceAll(s.Ask, "DOMAIN", c.who.ASCII)})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New(s.Name + ": skipped")
	}
	ctx, cancel := context.WithTimeout(ctx, discover.Patience)
	defer cancel()
	defer c.waiting("Looking up %s", c.who.ASCII)()
	return s.Start(ctx, f)()
}

// agree reports whether a finding, which was shown to the person, is accepted.
func (c *conversation) agree(f *discover.Finding) (bool, error) {
	switch {
	case f.Unproven != "" && c.There:
		c.show("%s", f.Unproven)
		return c.yes(question{text: "Is " + f.Server.Name() + " the right server?"})
	case f.Unproven != "":
		c.show("%s", f.Unproven)
		return false, nil
	case c.Yes:
		return true, nil
	}
	return c.yesOrElse(question{text: "Use this server?", needs: "your consent to " + f.Server.String(), give: "give --yes, or --server URL for another"})
}

// askServer asks the person for a server; standard is the default answer, or "".
func (c *conversation) askServer(ctx context.Context, standard string) error {
	text := "Outgoing mail server (for example smtp.example.org),\n  or a provider (sendgrid, mailgun, ses:eu-west-1)"
	if standard != "" {
		text = "Mail server; Enter tries again"
	}
	_, err := c.ask(question{text: text, standard: standard, needs: "the outgoing mail server", give: "give --server HOST",
		check: func(text string) error {
			if text == "" {
				return nil
			}
			return c.nameServer(ctx, text)
		}})
	return err
}

// nameServer sets the account's server to the one that a person has named.
func (c *conversation) nameServer(ctx context.Context, word string) error {
	done := func() {}
	if discover.IsHost(word) {
		done = c.waiting("Trying %s", word)
	}
	found, err := c.finder().Named(ctx, word)
	done()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && status.KindOf(err) != status.Usage && found != nil && c.Force:
		c.show("%v", err)
	case err != nil:
		return c.offline(ctx, err)
	}
	return c.take(found)
}

// offline returns ErrOffline if err is a failure to connect and there is no network;
// otherwise err.
func (c *conversation) offline(ctx context.Context, err error) error {
	if status.KindOf(err) == status.Connection {
		if none := c.finder().Offline(ctx); none != nil {
			return none
		}
	}
	return err
}

// take sets the account's server to a finding.
func (c *conversation) take(f *discover.Finding) error {
	c.sure = f.User != "" && f.Unproven == ""
	f.Complete(c.who)
	if f.Server.Port == 0 || f.Server.Way().LMTP {
		return status.Usage.Errorf("--setup supports only servers that accept SMTP at a host and port; sendoff.toml(5) shows the others")
	}
	c.server, c.login, c.tokens, c.user = f.Server, f.Login, logins[f.Login].tokens, f.User
	if f.Remark != "" && f.Remark != c.remark && !c.ref.IsOAuth2() { // the remark is about the password
		c.show("%s", f.Remark)
		c.remark = f.Remark
	}
	return nil
}

// connect connects to the server without a login, and shows what it has found. If the
// server fails, a person is asked for another server.
func (c *conversation) connect(ctx context.Context) error {
	for {
		done := c.waiting("Connecting to %s", c.server.Name())
		seen, err := c.Try(ctx, Trial{Account: c.unnamed(c.server)})
		done()
		for _, line := range seen.Lines {
			c.show("%s", line)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			c.meet(seen)
			return nil
		case c.Force:
			c.show("%v", err)
			return nil
		}
		if err = c.offline(ctx, err); errors.Is(err, discover.ErrOffline) {
			return err
		}
		insecure := status.KindOf(err) == status.Insecure
		if !c.There {
			if insecure {
				err = fmt.Errorf("%w\n%s", err, forced)
			}
			return err
		}
		c.showError(err)
		if insecure {
			c.show("%s", forced)
		}
		if err := c.askServer(ctx, c.server.String()); err != nil {
			return err
		}
	}
}

// forced says what --force does about a server that is not safe.
const forced = "--force saves the account all the same, so that tls-ca or tls-fingerprint can be added to it"

// showError shows an error, and what can be done about it before the next answer.
func (c *conversation) showError(err error) {
	c.show("%v", err)
	if hint := status.HintToAsk(err); hint != "" {
		c.show("hint: %s", hint)
	}
}

// meet stores the mechanisms that the server offers.
func (c *conversation) meet(seen Seen) {
	takesToken := func(m string) bool { return m == "XOAUTH2" || m == "OAUTHBEARER" }
	if c.tokens == "" && len(seen.Mechanisms) > 0 && !slices.ContainsFunc(seen.Mechanisms, func(m string) bool { return !takesToken(m) }) {
		c.login = discover.OAuth2
	}
	c.offered = seen.Mechanisms
	c.anonymous = len(seen.Mechanisms) == 0 && c.User == ""
}
