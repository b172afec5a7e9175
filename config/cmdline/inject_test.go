package cmdline

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"sendoff/submit/status"
)

// TestParseInjection adds options after the arguments of honest callers, as a stranger's
// address can do if a caller's quoting is wrong. An added option must not turn the mail
// into "exit 0, nothing sent", and must not name a file, a server, an account or a command.
func TestParseInjection(t *testing.T) {
	const (
		inert     = "inert" // the message is sent as without the option
		submitted = ""      // the exit code is 64, or another message is sent: stdin is read in any case
		refused   = "64"
		account   = "account" // before a recipient it chooses a configured account, which does no harm
	)
	callers := []string{"NAME -t -i", "NAME -ti", "NAME -f a@b", "NAME victim@example.org", "NAME -oi -fa@b victim@example.org", "NAME -i -t -r a victim", "NAME -FCronDaemon -odi -oem"}
	tests := []struct{ inject, sendmail, sendoff string }{
		{"-bp", refused, refused},
		{"-bP", refused, refused},
		{"-b p", refused, refused},
		{"-ibp", refused, refused},
		{"-bs", refused, refused},
		{"-i -bs", refused, refused},
		{"-bv", refused, refused},
		{"-bv root", refused, refused},
		{"-bi", refused, refused},
		{"-I", refused, refused},
		{"-bh", refused, refused},
		{"-bH", refused, refused},
		{"-bV", refused, refused},
		{"-bC", refused, refused},
		{"-bd", refused, refused},
		{"-bt", refused, refused},
		{"-be '${run{/usr/bin/id}}'", refused, refused},
		{"-q", refused, refused},
		{"-q30m", refused, refused},
		{"-qRexample.org", refused, refused},
		{"-d0.1", refused, refused},
		{"-d0.1 -bt", refused, refused},
		{"-X/var/www/x.php", inert, inert},
		{"-OQueueDirectory=/tmp -X/var/www/x.php", inert, inert}, // CVE-2016-10033
		{"-O QueueDirectory=/tmp", inert, inert},
		{"-oQ/tmp -X /tmp/x", inert, inert},
		{"-oA/tmp/aliases", inert, inert},
		{"-D/tmp/x", inert, inert},
		{"-C/etc/passwd", inert, refused},
		{"-C /etc/passwd", inert, refused},
		{"-vC/etc/passwd", inert, refused},
		{"-a x", refused, account},
		{"-ax", refused, account},
		{"--account x", refused, account},
		{"--account=x", refused, account},
		{"--config=/tmp/x", refused, refused},
		{"--server=smtp://mx.example.net", refused, refused},
		{"--server smtp://mx.example.net", refused, refused},
		{"--user=x", refused, refused},
		{"--secret=command:id", refused, refused},
		{"--attach /etc/passwd", refused, refused},
		{"--attach=/etc/passwd", refused, refused},
		{"--subject=x", refused, submitted},
		{"-s", inert, submitted},
		{"--rehearse", refused, refused},
		{"--dry-run", refused, refused},
		{"--login work", refused, refused},
		{"--logout work", refused, refused},
		{"--help", refused, refused},
		{"--version", refused, refused},
		{"--doctor", refused, refused},
		{"--listen=/tmp/x", refused, refused},
		{"--queue-run", refused, refused},
		{"--verbose", refused, inert},
	}
	for _, face := range []string{"sendmail", "sendoff"} {
		for _, caller := range callers {
			honest, err := Parse(words(strings.Replace(caller, "NAME", face, 1)))
			if err != nil {
				t.Fatalf("%s %s: %v", face, caller, err)
			}
			for _, tt := range tests {
				want := tt.sendmail
				if face == "sendoff" {
					want = tt.sendoff
				}
				line := strings.Replace(caller, "NAME", face, 1) + " " + tt.inject
				c, err := Parse(words(line))
				c.Verbose = honest.Verbose // -v does no harm
				if want == account {
					want = refused
					if len(honest.Recipients) == 0 && c.Account == "x" {
						c.Account, want = "", inert
					}
				}
				switch {
				case !c.Submits:
					t.Errorf("%s: stdin would not be drained", line)
				case want == refused && status.KindOf(err) != status.Usage:
					t.Errorf("%s: got %+v, error %v; want 64", line, c, err)
				case want == inert && (err != nil || describe(c) != describe(honest)):
					t.Errorf("%s\n got %s, error %v\nwant %s", line, describe(c), err, describe(honest))
				}
			}
		}
	}
}

// TestParseFirst: the hint has the name of the argument.
func TestParseFirst(t *testing.T) {
	tests := []struct{ line, want string }{
		{"sendoff -t --config f", "--config must come first: sendoff --config FILE …"},
		{"sendoff x -a work", "-a must come before recipients: sendoff -a ACCOUNT …"},
		{"sendoff x --account work", "--account must come before recipients: sendoff --account ACCOUNT …"},
		{"sendoff x --read-envelope-from", "--read-envelope-from must come before recipients: sendoff --read-envelope-from …"},
		{"sendoff -vi --dry-run x", "--dry-run must come first: sendoff --dry-run …"},
		{"sendoff --server u -n --user u x", "--user must come first: sendoff --user NAME …"},
		{"sendmail --config f x", "--config is not allowed under the name sendmail, only under the name sendoff"},
		{"sendmail --verbose x", "--verbose is not allowed under the name sendmail, only under the name sendoff"},
		{"mailx -a f x", "-a is not allowed under the name mailx, only under the name sendoff"},
		{"sendmail --version --help", "--version is not allowed under the name sendmail, only under the name sendoff"},
	}
	for _, tt := range tests {
		if _, err := Parse(words(tt.line)); err == nil || err.Error() != tt.want {
			t.Errorf("%s\n got %v\nwant %s", tt.line, err, tt.want)
		}
	}
}

// FuzzParse parses command lines whose words are separated by NUL, which no word can
// contain.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"sendmail -t -i -fa@b", "sendoff --config f -a x --dry-run y", "mailq -bp", "sendmail -s 'a b' c -- -d",
		"sendoff --login=x", "sendmail -oi -Nnever -R full -V x -B7BIT -L t", "sendoff --server u --user v --secret w --rehearse x",
		"sendmail -d0.1", "sendoff --", "sendmail -\xc3", "", "sendmail --version",
	} {
		f.Add(strings.Join(words(line), "\x00"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		argv := strings.Split(line, "\x00")
		c, err := Parse(argv)
		if c == nil || c.Mode == 0 || c.Name == "" {
			t.Fatalf("%q: %+v", argv, c)
		}
		if err != nil && status.KindOf(err) != status.Usage {
			t.Errorf("%q: %v is no usage error", argv, err)
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q: the error %q is not for a terminal", argv, err)
		}
		for _, w := range c.Warnings {
			if strings.ContainsFunc(w, unicode.IsControl) {
				t.Errorf("%q: the warning %q is not for a terminal", argv, w)
			}
		}
		for _, r := range c.Recipients {
			if !slices.Contains(argv, r) {
				t.Errorf("%q: the recipient %q is not an operand", argv, r)
			}
		}
		if err == nil && c.Mode != Submit && (c.Submits || c.Extract || c.From != nil || c.FullName != "" || len(c.Recipients) > 0 && c.Mode != Verify) {
			t.Errorf("%q: a submission became mode %d", argv, c.Mode)
		}
		if c.Face == Sendmail && (c.Config+c.Account+c.Server+c.User+c.Secret != "" || c.DryRun || c.Rehearse ||
			c.Mode == Login || c.Mode == Logout) {
			t.Errorf("%q: an argument reached %+v", argv, c)
		}
	})
}
