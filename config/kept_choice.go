package config

import "strings"

// A keptField is a field of a Choice that is stored with a queued message.
type keptField struct {
	key   string // the key of its line
	value *string
}

// kept returns the fields of c that are stored with a queued message.
func (c *Choice) kept() []keptField {
	line := &c.CommandLine
	all := []keptField{{"config", &line.Config}, {"user-config", &line.UserFile}, {"home", &line.Home}}
	for _, v := range variables {
		if v.chooses {
			key := strings.ToLower(v.name)
			all = append(all, keptField{"option." + key, v.field(line)}, keptField{"environment." + key, v.field(&c.Environment)})
		}
	}
	return all
}

// Lines returns the lines KEY=VALUE that are stored with a queued message, so that its
// account can be found again. a is the account, or nil. The addresses are missing, because
// the message has them.
func (c Choice) Lines(a *Account) []string {
	var lines []string
	if a != nil && a.File != "" {
		c.CommandLine.Account = a.Name
	}
	for _, f := range c.kept() {
		if *f.value != "" {
			lines = append(lines, f.key+"="+*f.value)
		}
	}
	return lines
}

// ParseChoice parses the result of Lines. If a field has several lines, the first counts.
func ParseChoice(lines []string) (c Choice) {
	kept := c.kept()
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		if key == "name" { // earlier versions of sendoff wrote the name of an account in a file so
			key = "option.account"
		}
		for _, f := range kept {
			if f.key == key && *f.value == "" {
				*f.value = value
			}
		}
	}
	return c
}

// AccountName returns the name of the account if c names it, or names a server; otherwise
// "".
func (c Choice) AccountName() string {
	switch {
	case c.CommandLine.Account != "":
		return c.CommandLine.Account
	case c.CommandLine.Server != "":
		return OfCommandLine
	case c.Environment.Server != "":
		return OfEnvironment
	}
	return c.Environment.Account
}

// Place returns where the configuration files of c are.
func (c Choice) Place() Override {
	o := c.CommandLine
	return Override{Config: o.Config, UserFile: o.UserFile, Home: o.Home}
}
