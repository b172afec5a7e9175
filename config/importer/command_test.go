package importer

import (
	"os"
	"strings"
	"testing"

	"sendoff/submit/credential"
)

func TestWords(t *testing.T) {
	tests := []struct{ command, want string }{
		{"pass show mail", "pass show mail"},
		{"gpg2 --no-tty -q -d ~/.msmtp-password.gpg", "gpg2 --no-tty -q -d ~/.msmtp-password.gpg"},
		{"secret-tool lookup service 'my mail'", "secret-tool lookup service 'my mail'"},
		{"gpg --opt=val -d f", "gpg --opt=val -d f"},
		{"pass show mail | head -n1", "sh -c 'pass show mail | head -n1'"},
		{"cat $HOME/'my file'", `sh -c 'cat $HOME/'\''my file'\'''`},
		{"LANG=C pass show mail", "sh -c 'LANG=C pass show mail'"},
		{"cat ~/pw*", "sh -c 'cat ~/pw*'"},
		{"cat ~ann/pw", "sh -c 'cat ~ann/pw'"},
		{"pass show mail # the new one", "sh -c 'pass show mail # the new one'"},
		{". ~/.env", "sh -c '. ~/.env'"},
		{"pass 'open", `sh -c 'pass '\''open'`},
	}
	for _, tt := range tests {
		if got := words(tt.command); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.command, got, tt.want)
		}
		if _, err := credential.ParseRef("command:" + words(tt.command)); err != nil {
			t.Errorf("%s: %v", tt.command, err)
		}
	}
}

// A command that may have the password among its words must not be copied.
func TestKnown(t *testing.T) {
	tests := []struct {
		command, password string
		known             bool
	}{
		{"echo s3kr1t", "s3kr1t", false},
		{"/bin/echo -n 's3 kr1t'", "s3 kr1t", false},
		{"echo 's3$kr1t'", "s3$kr1t", false},
		{`echo '$s3kr1t'`, "$s3kr1t", false},
		{`printf '%s\n' s3kr1t`, "s3kr1t", false},
		{`printf 's3kr1t\n'`, "s3kr1t", false},
		{`printf s3kr1t\n`, "", false},
		{`echo s3\kr1t`, "", false},
		{`echo 's3\kr1t'`, "", false},
		{"echo -e s3kr1t", "", false},
		{"echo ~s3kr1t", "", false},
		{"printf '%d' 3", "", false},
		{"echo s3$kr1t", "", false},
		{`echo "s3$(kr1t)"`, "", false},
		{`echo "${x:-s3kr1t}"`, "", false},
		{`echo "$x" s3kr1t`, "", false},
		{"echo czNrcjF0 | base64 -d", "", false},
		{"base64 -d <<< czNrcjF0", "", false},
		{"sh -c 'echo s3kr1t'", "", false},
		{`sh -c "echo '$x'"`, "", false},
		{`true && echo "s3kr1t"`, "", false},
		{"python3 -c print('s3kr1t')", "", false},
		{"awk BEGIN{print\"s3kr1t\"}", "", false},
		{"rev /dev/stdin # s3kr1t", "", false},
		{"X=s3kr1t pass show mail", "", false},
		{"X='the s3kr1t' pass show mail", "", false},
		{"gpg --passphrase s3kr1t -d f", "", false},
		{"gpg --passphrase=s3kr1t -d f", "", false},
		{"gpg --sign f", "", false},
		{"bw get password mail --session s3kr1t", "", false},
		{"bw unlock s3kr1t", "", false},
		{"security unlock-keychain -p s3kr1t", "", false},
		{"pass show mail | sed s/.*/s3kr1t/", "", false},
		{"pass show mail | sed 'c s3kr1t'", "", false},
		{"pass show mail | tr a s3kr1t", "", false},
		{"pass show mail; echo s3kr1t", "", false},
		{"pass show mail || echo s3kr1t", "", false},
		{"pass `echo s3kr1t`", "", false},
		{"pass show 'mail", "", false},
		{"|", "", false},
		{`echo "$SMTP_PASSWORD"`, "", true},
		{`printf '%s' "${SMTP_PASSWORD}"`, "", true},
		{"pass show mail", "", true},
		{"pass show mail 2>/dev/null | head -n 1", "", true},
		{"PASSWORD_STORE_DIR=~/x /usr/bin/pass show mail", "", true},
		{"gpg --no-tty -qd ~/.pw.gpg", "", true},
		{"gpg2 --passphrase-file ~/.phrase --decrypt ~/.pw.gpg | tr -d '\\n'", "", true},
		{"secret-tool lookup service 'my mail'", "", true},
		{"security find-generic-password -s mail -w", "", true},
		{"keyring -b x get mail ann", "", true},
		{"op read op://mail/password", "", true},
		{"rbw get mail", "", true},
		{"systemd-creds cat mail", "", true},
		{"cat $HOME/.pw | cut -d: -f2 | sed -n 's/^x: //p'", "", true},
		{"sh -c 'gpg -d ~/.pw.gpg | head -1'", "", true},
	}
	for _, tt := range tests {
		password, _ := echoed(tt.command)
		if password != tt.password || known(tt.command) != tt.known {
			t.Errorf("%s: %q, %v; want %q, %v", tt.command, password, known(tt.command), tt.password, tt.known)
		}
		if program := programOf(tt.command); strings.Contains(program, "s3kr1t") {
			t.Errorf("%s: the program is called %s", tt.command, program)
		}
	}
}

// TestProgramOf names nothing that could be a password.
func TestProgramOf(t *testing.T) {
	for command, want := range map[string]string{
		"Tr0ub4dor3": "this command", "x=y Tr0ub4dor3 z": "this command", "sh -c x": "sh", "/bin/sh": "sh", "A=b sh": "sh", "$(x)": "this command",
	} {
		if got := programOf(command); got != want && (os.PathSeparator == '/' || want == "this command") {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}
