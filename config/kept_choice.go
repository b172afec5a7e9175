package config

import "strings"

// A keptField is a field of a Choice that a queue keeps.
type keptField struct {
	key   string // of its line
	value *string
}

// kept returns the fields of by that a queue keeps.
func (by *Choice) kept() []keptField {
	c := &by.CommandLine
	all := []keptField{{"config", &c.Config}, {"user-config", &c.UserFile}, {"home", &c.Home}}
	for _, v := range variables {
		if v.chooses {
			key := strings.ToLower(v.name)
			all = append(all, keptField{"option." + key, v.field(c)}, keptField{"environment." + key, v.field(&by.Environment)})
		}
	}
	return all
}

// Lines writes what chose a, which may be nil, as KEY=VALUE each, so that the account
// of a message is found again: without the addresses, which are the message's own.
func (by Choice) Lines(a *Account) []string {
	var lines []string
	if a != nil && a.File != "" {
		by.CommandLine.Account = a.Name
	}
	for _, f := range by.kept() {
		if *f.value != "" {
			lines = append(lines, f.key+"="+*f.value)
		}
	}
	return lines
}

// ParseChoice reads what Lines wrote. Of several lines for a field the first counts.
func ParseChoice(lines []string) (by Choice) {
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		if key == "name" { // earlier versions wrote the account that a file has so
			key = "option.account"
		}
		for _, f := range by.kept() {
			if f.key == key && *f.value == "" {
				*f.value = value
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
