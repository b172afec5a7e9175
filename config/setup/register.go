package setup

import (
	"cmp"
	"context"
	"strings"

	"sendoff/config"
	"sendoff/config/edit"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

// register finds the client ID for a provider of access tokens, unless the configuration
// has a table for it. It asks for the client ID of a built-in provider. For another
// provider, the user has to write the table.
func (c *conversation) register(ctx context.Context) error {
	name := c.ref.Provider()
	_, unknown := c.config.Provider(name)
	switch given := c.ClientID != "" && !c.typedClient || c.ClientSecretFile != "" || c.Tenant != ""; {
	case given && name == "":
		return status.Usage.Errorf("--client-id, --client-secret-file and --tenant can only be used with --secret oauth2:NAME")
	case given && unknown == nil:
		return status.Usage.Errorf("the configuration has [oauth2.%s] already; change the client ID there", name)
	case name == "" && c.Flow != "":
		return status.Usage.Errorf("--flow can only be used with --secret oauth2:NAME")
	case name == "" || unknown == nil:
		return nil
	}
	provider, ok := config.BuiltIn(name)
	if !ok {
		return unknown
	}
	if c.There {
		if ok, err := c.askClient(providerName(name)); err != nil || !ok {
			return cmp.Or(err, status.Usage.Errorf("%s requires an OAuth client ID: run sendoff --setup again when you have one", providerName(name)))
		}
	}
	c.registration = edit.NewProvider(name)
	id, err := c.answer(c.ClientID, question{needs: "an OAuth client ID", give: "give --client-id ID", check: visible})
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
	if tenant == "" && c.There {
		tenant, err = c.ask(question{text: "Microsoft tenant, if the registration is for one organisation", standard: provider.Tenant, check: visible})
	}
	if tenant != provider.Tenant {
		c.registration.Set("tenant", tenant)
	}
	return err
}

// providerName returns the name of a provider of access tokens for people.
func providerName(name string) string {
	for _, row := range logins {
		if row.tokens == "oauth2:"+name {
			return row.provider
		}
	}
	return name
}

// answer returns given, the value of an option, after a check; if it is empty, it asks.
func (c *conversation) answer(given string, q question) (string, error) {
	if given == "" {
		return c.ask(q)
	}
	if err := q.check(given); err != nil {
		return "", status.Usage.Errorf("%s: %w", strings.Fields(q.give)[1], err)
	}
	return given, nil
}

// askClientSecret gets the client secret, which many registrations lack, and chooses a file
// for it: the client secret belongs to the program, not to a person.
func (c *conversation) askClientSecret(ctx context.Context) (err error) {
	switch {
	case c.ClientSecretFile != "":
		c.clientSecret, err = c.readSecret(ctx, "--client-secret-file", c.ClientSecretFile)
	case c.typedClient:
		var text string
		if text, err = c.Person.Secret("OAuth client secret (Enter if there is none): "); text != "" && err == nil {
			c.clientSecret, err = credential.NewSecret(text)
			err = status.Usage.Wrap(err)
		}
	}
	if err != nil || c.clientSecret.IsZero() {
		return err
	}
	source := c.fileBeside("oauth2-" + c.registration.Name)
	if source == c.refresh.Text() { // there is an account with this name
		source = c.fileBeside(c.registration.Name)
	}
	c.registration.Set("client-secret", source)
	if c.clientRef, err = credential.ParseRef(source); err != nil {
		return err
	}
	return c.guard(ctx, c.clientRef, c.clientSecret)
}

// authorise gets the person's consent. It stores the client secret before that, and removes
// it if anything fails later.
func (c *conversation) authorise(ctx context.Context) error {
	if !c.clientSecret.IsZero() {
		if err := c.Store.Put(ctx, c.clientRef, c.item(), c.clientSecret); err != nil {
			return err
		}
		c.undo = append(c.undo, func(ctx context.Context) error { return c.Store.Delete(ctx, c.clientRef, c.item()) })
	}
	return c.Authorise(ctx, c.account())
}
