package config

import "strings"

// choiceKeys are the fields of an Override that a queue keeps of a command line and
// of an environment, with the ends of their keys. To keep another, add a row.
var choiceKeys = [...]struct {
	key   string
	field func(*Override) *string
}{
	{"account", func(o *Override) *string { return &o.Account }},
	{"server", func(o *Override) *string { return &o.Server }},
	{"user", func(o *Override) *string { return &o.User }},
	{"secret", func(o *Override) *string { return &o.Secret }},
	{"from", func(o *Override) *string { return &o.From }},
}

// The keys of the lines of a Choice.
const (
	configKey      = "config"       // Override.Config, if the file was named
	userFileKey    = "user-config"  // Override.UserFile
	homeKey        = "home"         // Override.Home
	nameKey        = "name"         // of the account, if a file has it
	commandLineKey = "option."      // and one of choiceKeys
	environmentKey = "environment." // likewise
)

// Lines writes what chose a, which may be nil, as KEY=VALUE each, so that the account
// of a message is found again: without the addresses, which are the message's own.
func (by Choice) Lines(a *Account) []string {
	var lines []string
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, key+"="+value)
		}
	}
	add(configKey, by.CommandLine.Config)
	add(userFileKey, by.CommandLine.UserFile)
	add(homeKey, by.CommandLine.Home)
	if a != nil && a.File != "" {
		add(nameKey, a.Name)
	}
	for _, k := range choiceKeys {
		add(commandLineKey+k.key, *k.field(&by.CommandLine))
		add(environmentKey+k.key, *k.field(&by.Environment))
	}
	return lines
}

// ParseChoice reads what Lines wrote.
func ParseChoice(lines []string) (by Choice) {
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case configKey:
			by.CommandLine.Config = value
		case userFileKey:
			by.CommandLine.UserFile = value
		case homeKey:
			by.CommandLine.Home = value
		case nameKey:
			by.CommandLine.Account = value
		}
		for _, k := range choiceKeys {
			switch {
			case key == commandLineKey+k.key && *k.field(&by.CommandLine) == "":
				*k.field(&by.CommandLine) = value
			case key == environmentKey+k.key:
				*k.field(&by.Environment) = value
			}
		}
	}
	return by
}

// AccountName returns the name of the account that by chooses, as far as by says it;
// "" if it says nothing.
func (by Choice) AccountName() string {
	switch {
	case by.CommandLine.Account != "":
		return by.CommandLine.Account
	case by.CommandLine.Server != "":
		return OfCommandLine
	case by.Environment.Server != "":
		return OfEnvironment
	}
	return by.Environment.Account
}

// Place returns where the configuration is in which by chooses an account.
func (by Choice) Place() Override {
	o := by.CommandLine
	return Override{Config: o.Config, UserFile: o.UserFile, Home: o.Home}
}
