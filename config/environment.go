package config

import (
	"fmt"
	"slices"
	"strings"

	"sendoff/submit/status"
)

// variablePrefix begins the name of each variable that is ours.
const variablePrefix = "SENDOFF_"

// variables is what the environment may say in place of the files: a field of
// Override, under its name behind the prefix.
var variables = [...]struct {
	name  string
	field func(*Override) *string
}{
	{"CONFIG", func(o *Override) *string { return &o.Config }},
	{"ACCOUNT", func(o *Override) *string { return &o.Account }},
	{"SERVER", func(o *Override) *string { return &o.Server }},
	{"USER", func(o *Override) *string { return &o.User }},
	{"SECRET", func(o *Override) *string { return &o.Secret }},
	{"FROM", func(o *Override) *string { return &o.From }},
}

// Environment returns what the variables SENDOFF_* say.
func Environment(getenv func(string) string) Override {
	var o Override
	for _, v := range variables {
		*v.field(&o) = getenv(variablePrefix + v.name)
	}
	return o
}

// Unread says of each variable SENDOFF_* of environ that nobody reads, in the
// order of their names, what may have been meant. What they hold is not told: it
// may be a password.
func Unread(environ []string) []string {
	var known, unread []string
	for _, v := range variables {
		known = append(known, v.name)
	}
	for _, line := range environ {
		variable, value, _ := strings.Cut(line, "=")
		name, ours := strings.CutPrefix(variable, variablePrefix)
		near := status.Nearest(name, known)
		switch {
		case !ours, slices.Contains(known, name), others(name, value):
		case strings.Contains(name, "PASS"), strings.Contains(name, "PWD"):
			unread = append(unread, variable+" is not read, as the environment is no place for a password; SENDOFF_SECRET says where it is, as in file:PATH")
		case near != "":
			unread = append(unread, fmt.Sprintf("%s is not read; did you mean %s%s?", variable, variablePrefix, near))
		default:
			unread = append(unread, fmt.Sprintf("%s is not read; the variables are %s%s", variable, variablePrefix, strings.Join(known, ", "+variablePrefix)))
		}
	}
	slices.Sort(unread)
	return unread
}

// others reports whether a variable is there for another purpose: what a
// notify-command is given, which may run sendoff; what Kubernetes makes for a
// service called sendoff; and what tests have us obey.
func others(name, value string) bool {
	switch {
	case slices.Contains([]string{"ID", "FOLDER", "SENDER", "REASON"}, name):
		return true
	case strings.Contains(name, "SERVICE_"), strings.Contains(name, "PORT_"), strings.HasSuffix(name, "PORT") && strings.Contains(value, "://"):
		return true
	}
	return homeVariable != "" && strings.HasPrefix(name, "TEST_")
}
