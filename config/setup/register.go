package setup

import (
	"context"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// register finds out the client ID that the provider of access tokens knows sendoff by,
// if the configuration does not say. It asks for that of a provider that is built in;
// another provider's table the user has to write.
func (c *conversation) register(ctx context.Context) error {
	name := c.ref.Provider()
	_, unknown := c.config.Provider(name)
	switch given := c.ClientID != "" || c.ClientSecretFile != "" || c.Tenant != ""; {
	case given && name == "":
		return status.Usage.Errorf("a client id is for access tokens: it stands only with --secret oauth2:NAME")
	case given && unknown == nil:
		return status.Usage.Errorf("the configuration has [oauth2.%s] already; change its client id there", name)
	case name == "" && c.Flow != "":
		return status.Usage.Errorf("--flow is for --secret oauth2:NAME")
	case name == "" || unknown == nil:
		return nil
	}
	provider, ok := config.BuiltIn(name)
	if !ok {
		return unknown
	}
	if c.ClientID == "" && c.There {
		c.show("%s gives access tokens to programs that it knows: you need a registration (a client id) of your own; the README says how to get one", name)
	}
	c.registration = edit.NewProvider(name)
	id, err := c.answer(c.ClientID, question{text: "the client id", flag: "--client-id ID", check: visible})
	if err != nil {
		return err
	}
	c.registration.Set("client-id", id)
	if err := c.askClientSecret(ctx); err != nil {
		return err
	}
	if provider.Tenant == "" {
		return nil
	}
	tenant := c.Tenant
	if tenant == "" && c.There && !c.Yes {
		tenant, err = c.ask(question{text: "the tenant, if the registration is for one organisation", standard: provider.Tenant, flag: "--tenant NAME", check: visible})
	}
	if tenant != provider.Tenant {
		c.registration.Set("tenant", tenant)
	}
	return err
}

// answer returns what an option has given, or asks.
func (c *conversation) answer(given string, q question) (string, error) {
	if given == "" {
		return c.ask(q)
	}
	if err := q.check(given); err != nil {
		return "", status.Usage.Errorf("%s: %w", strings.Fields(q.flag)[0], err)
	}
	return given, nil
}

// askClientSecret gets the secret of the registration, which many have not, and
// a file for it: it belongs to the program, and is no person's.
func (c *conversation) askClientSecret(ctx context.Context) (err error) {
	switch {
	case c.ClientSecretFile != "":
		c.clientSecret, err = c.readSecret(ctx, "--client-secret-file", c.ClientSecretFile)
	case c.There && c.ClientID == "":
		var text string
		if text, err = c.Person.Secret("its client secret, if it has one: "); text != "" && err == nil {
			c.clientSecret, err = credential.NewSecret(text)
			err = status.Usage.Wrap(err)
		}
	}
	if err != nil || c.clientSecret.IsZero() {
		return err
	}
	source := c.fileBeside("oauth2-" + c.registration.Name)
	if source == c.refresh.Text() { // an account of that name
		source = c.fileBeside(c.registration.Name)
	}
	c.registration.Set("client-secret", source)
	if c.clientRef, err = credential.ParseRef(source); err != nil {
		return err
	}
	return c.guard(ctx, c.clientRef, c.clientSecret)
}

// authorise gets the person's consent, with the secret of the registration in its file
// for as long as nothing fails.
func (c *conversation) authorise(ctx context.Context) error {
	if !c.clientSecret.IsZero() {
		if err := c.Store.Put(ctx, c.clientRef, c.item(), c.clientSecret); err != nil {
			return err
		}
		c.undo = append(c.undo, func(ctx context.Context) error { return c.Store.Delete(ctx, c.clientRef, c.item()) })
	}
	return c.Authorise(ctx, c.account())
}
