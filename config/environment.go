package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"sendoff/submit/status"
)

// variablePrefix begins the name of each variable that is ours.
const variablePrefix = "SENDOFF_"

// variables is what the environment may say in place of the files: a field of
// Override, under its name behind the prefix. A queue keeps those that choose an
// account, under their name in lower case (Choice.Lines).
var variables = [...]struct {
	name    string
	field   func(*Override) *string
	chooses bool
}{
	{"CONFIG", func(o *Override) *string { return &o.Config }, false},
	{"ACCOUNT", func(o *Override) *string { return &o.Account }, true},
	{"SERVER", func(o *Override) *string { return &o.Server }, true},
	{"USER", func(o *Override) *string { return &o.User }, true},
	{"SECRET", func(o *Override) *string { return &o.Secret }, true},
	{"FROM", func(o *Override) *string { return &o.From }, true},
	{"QUEUE", func(o *Override) *string { return &o.Queue }, false},
	{"RUNNER", func(o *Override) *string { return &o.Runner }, false},
}

// Environment returns what the variables SENDOFF_* say.
func Environment(getenv func(string) string) Override {
	var o Override
	for _, v := range variables {
		*v.field(&o) = getenv(variablePrefix + v.name)
	}
	return o
}

// Settle puts what env says of the settings at the top in place of what the files
// say. home is what ~ means.
func (c *Config) Settle(env Override, home string) error {
	queue := env.Queue
	if queue != "" && queue != Off {
		queue = resolve(queue, "", home)
		if !filepath.IsAbs(queue) || strings.ContainsFunc(queue, unicode.IsControl) {
			return status.Config.Errorf(`SENDOFF_QUEUE is the absolute path of a folder, or "off"`)
		}
	}
	if env.Runner != "" && !isRunner(env.Runner) {
		return status.Config.Errorf(`SENDOFF_RUNNER is "auto", "on" or "off"`)
	}
	c.Queue, c.Runner = cmp.Or(queue, c.Queue), cmp.Or(env.Runner, c.Runner)
	return nil
}

// isRunner reports whether s is a value of runner.
func isRunner(s string) bool { return s == "auto" || s == "on" || s == Off }

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
		case !ours, slices.Contains(known, name), isNoSetting(name, value):
		case strings.Contains(name, "PASS"), strings.Contains(name, "PWD"):
			unread = append(unread, variable+" is ignored: a password is not read from it; set SENDOFF_SECRET to where the password is, such as file:PATH or env:NAME")
		case near != "":
			unread = append(unread, fmt.Sprintf("%s is ignored; did you mean %s%s?", variable, variablePrefix, near))
		default:
			unread = append(unread, fmt.Sprintf("%s is ignored; the variables are %s%s", variable, variablePrefix, strings.Join(known, ", "+variablePrefix)))
		}
	}
	slices.Sort(unread)
	return unread
}

// isNoSetting reports whether a variable is there for another purpose: what a
// notify-command is given, which may run sendoff; what Kubernetes makes for a
// service called sendoff; and what tests have us obey.
func isNoSetting(name, value string) bool {
	switch {
	case slices.Contains([]string{"ID", "FOLDER", "SENDER", "REASON", "EVENT", "EVENT_ACCOUNT", "EVENT_SINCE", "EVENT_COUNT"}, name):
		return true
	case strings.Contains(name, "SERVICE_"), strings.Contains(name, "PORT_"), strings.HasSuffix(name, "PORT") && strings.Contains(value, "://"):
		return true
	}
	return homeVariable != "" && strings.HasPrefix(name, "TEST_")
}
