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

// variablePrefix is the beginning of the names of sendoff's variables.
const variablePrefix = "SENDOFF_"

// variables has the variables that may replace settings of the files: the name after the
// prefix, and the field of Override. The variables that choose an account are stored with a
// queued message, under their names in lower case (Choice.Lines).
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

// Environment returns the values of the variables SENDOFF_*.
func Environment(getenv func(string) string) Override {
	var o Override
	for _, v := range variables {
		*v.field(&o) = getenv(variablePrefix + v.name)
	}
	return o
}

// Settle replaces top-level settings of c by those of env. home is the folder that ~ means.
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

// Unread returns a line for each variable SENDOFF_* in environ that sendoff does not know,
// sorted, with a proposal. It does not show the values: one may be a password.
func Unread(environ []string) []string {
	var known, unread []string
	for _, v := range variables {
		known = append(known, v.name)
	}
	for _, line := range environ {
		variable, value, _ := strings.Cut(line, "=")
		name, isOurs := strings.CutPrefix(variable, variablePrefix)
		near := status.Nearest(name, known)
		switch {
		case !isOurs, slices.Contains(known, name), isNoSetting(name, value):
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

// isNoSetting reports whether a variable has another purpose: it is for a notify-command,
// which may run sendoff; Kubernetes sets it for a service called sendoff; or it is for
// tests.
func isNoSetting(name, value string) bool {
	switch {
	case slices.Contains([]string{"ID", "FOLDER", "SENDER", "REASON", "EVENT", "EVENT_ACCOUNT", "EVENT_SINCE", "EVENT_COUNT"}, name):
		return true
	case strings.Contains(name, "SERVICE_"), strings.Contains(name, "PORT_"), strings.HasSuffix(name, "PORT") && strings.Contains(value, "://"):
		return true
	}
	return homeVariable != "" && strings.HasPrefix(name, "TEST_")
}
