package importer

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"sendoff/submit/credential"
	"sendoff/submit/process"
)

func TestSource(t *testing.T) {
	tests := []struct{ command, want string }{
		{"pass show mail", "pass show mail"},
		{"gpg2 --no-tty -q -d ~/.msmtp-password.gpg", "gpg2 --no-tty -q -d ~/.msmtp-password.gpg"},
		{"secret-tool lookup service 'my mail'", "secret-tool lookup service 'my mail'"},
		{`cat my\ file "it's"`, `cat my\ file "it's"`},
		{"gpg --opt=val -d f", "gpg --opt=val -d f"},
		{"grep '[*?#{!~]' f", "grep '[*?#{!~]' f"},
		{"pass show mail | head -n1", "sh -c 'pass show mail | head -n1'"},
		{"cat $HOME/'my file'", `sh -c 'cat $HOME/'\''my file'\'''`},
		{"LANG=C pass show mail", "sh -c 'LANG=C pass show mail'"},
		{"cat ~/pw*", "sh -c 'cat ~/pw*'"},
		{"cat ~ann/pw", "sh -c 'cat ~ann/pw'"},
		{"cat 'a'~", "sh -c 'cat '\\''a'\\''~'"},
		{"pass show mail # the new one", "sh -c 'pass show mail # the new one'"},
		{". ~/.env", "sh -c '. ~/.env'"},
		{"echo -e x", "sh -c 'echo -e x'"},
		{"pass 'open", `sh -c 'pass '\''open'`},
		{"cat\tf", `sh -c 'eval "$(printf %b '\''\0143\0141\0164\0011\0146'\'')"'`},
		{"cat \xe9", `sh -c 'eval "$(printf %b '\''\0143\0141\0164\0040\0351'\'')"'`},
	}
	for _, tt := range tests {
		if got := commandSource(tt.command); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.command, got, tt.want)
		}
		if _, err := credential.ParseRef("command:" + commandSource(tt.command)); err != nil {
			t.Errorf("%s: %v", tt.command, err)
		}
	}
}

// TestConstant: only a command that does nothing but print a constant becomes a password.
// Any other command is imported unchanged.
func TestConstant(t *testing.T) {
	tests := []struct{ command, password string }{
		{"echo s3kr1t", "s3kr1t"},
		{"/bin/echo -n 's3 kr1t'", "s3 kr1t"},
		{"echo 's3$kr1t'", "s3$kr1t"},
		{`echo '$s3kr1t'`, "$s3kr1t"},
		{`echo "s3'kr1t"'"'`, `s3'kr1t"`},
		{"echo 's3*k?r[1]#t{}~!'", "s3*k?r[1]#t{}~!"},
		{"echo 's3é'", "s3é"},
		{`printf '%s\n' s3kr1t`, "s3kr1t"},
		{`printf '%s' 's3%kr1t'`, "s3%kr1t"},
		{`printf 's3kr1t\n'`, "s3kr1t"},
		{`printf s3kr1t\n`, "s3kr1tn"}, // after the shell has removed the backslash
		{`echo s3\kr1t`, "s3kr1t"},     // after the shell has removed the backslash
		{`echo 's3\kr1t'`, ""},
		{"echo -e s3kr1t", ""},
		{"echo -- s3kr1t", ""},
		{"echo ''", ""},
		{"echo", ""},
		{"echo ~s3kr1t", ""},
		{"echo ~/s3kr1t", ""},
		{"echo s3*kr1t", ""},
		{"echo s3kr1t # x", ""},
		{"echo {s3,kr1t}", ""},
		{"printf '%d' 3", ""},
		{"printf s3kr1t x", ""},
		{"echo s3$kr1t", ""},
		{`echo "s3$(kr1t)"`, ""},
		{`echo "${x:-s3kr1t}"`, ""},
		{`echo "$x" s3kr1t`, ""},
		{"echo czNrcjF0 | base64 -d", ""},
		{"base64 -d <<< czNrcjF0", ""},
		{"sh -c 'echo s3kr1t'", ""},
		{`true && echo "s3kr1t"`, ""},
		{"X=s3kr1t echo s3kr1t", ""},
		{"gpg --passphrase s3kr1t -d f", ""},
		{"pass show mail; echo s3kr1t", ""},
		{"pass show 'mail", ""},
		{"|", ""},
		{`echo "$SMTP_PASSWORD"`, ""},
		{"pass show mail", ""},
	}
	for _, tt := range tests {
		if password, ok := constant(tt.command); password != tt.password && ok || ok != (tt.password != "") {
			t.Errorf("%s: %q, %t; want %q", tt.command, password, ok, tt.password)
		}
	}
}

// oddCommands are shell commands that each print something.
var oddCommands = []string{
	"echo pa$(echo ss)w'o'rd", "printf '%s\\n' \"it's\" | tr -d \"'\"", `echo "a\\b" 'c\d' e\f`, "echo 'a''b'\\''c'",
	"x=1; echo $x$x", "A=1 sh -c 'echo $A'", "echo é ü 日本", "cat ~/'my file'", "cat ~/my\\ file", "cat ~/my*", "echo \"$HOME\"",
	"if true; then echo yes; fi", "for x in a b; do printf $x; done", "! false && echo ok", "{ echo in; }", "(echo sub)", "echo `echo back`",
	"echo a # b", "echo 'a # b'", "echo a\tb", "printf 'a\tb'", "echo a\necho b", "echo 'a\nb'", "cat <<E\nhere $HOME\nE\n", "echo \\\n joined", "printf '%s' 'a\\tb'",
	"test 1 = 1 && echo same", "echo a=b", "env A=b sh -c 'echo $A'", "echo ~", "echo ~/x", "echo '~/x'", "echo 'a'~/x", "printf '\\101'", "echo '\\101'", "echo -n x", "echo -e 'x\\ty'",
	"cd / && pwd", "printf %s%% 5", "echo '$(x)' '`y`'", "echo \"\\$x \\` \\\" \\\\\"", "echo \xff\xfe", "sh -c \"echo 'a b'\"", "printf '%s' \"a'b\\\"c\"", "echo \x01\x7f", "eval 'echo ev'", "exec echo ex", "cat 'my file' 2>/dev/null || echo none", "echo {a,b}", "echo [x] ?", "printf 'a\r'",
}

// FuzzSource runs a command by sh -c, as msmtp does, and as a source. Both must print the
// same; if the command is taken as a constant, it must print that constant.
func FuzzSource(f *testing.F) {
	if _, err := exec.LookPath("sh"); err != nil || os.PathSeparator == '\\' {
		f.Skip("no shell")
	}
	for _, command := range oddCommands {
		f.Add(command)
	}
	f.Fuzz(func(t *testing.T, command string) {
		ref := "command:" + commandSource(command)
		if _, err := credential.ParseRef(ref); err != nil || notText(ref) != "" {
			t.Fatalf("%q: %q, %v", command, ref, err)
		}
		argv, err := process.Argv(commandSource(command), "/HOME")
		if err != nil {
			t.Fatal(err)
		}
		if argv[0] == "sh" && commandSource(command) != command && notText(command) == "" {
			if len(argv) != 3 || argv[1] != "-c" || argv[2] != command {
				t.Fatalf("%q is read back as %q", command, argv)
			}
		}
		if !slices.Contains(oddCommands, command) { // an unknown command is only parsed, never run
			return
		}
		home := t.TempDir()
		if err := os.WriteFile(home+"/my file", []byte("from a file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		argv, _ = process.Argv(commandSource(command), home)
		want, got := run(home, "sh", "-c", command), run(home, argv...)
		if got != want || want == "" {
			t.Errorf("%q printed %q; as %q it prints %q", command, want, argv, got)
		}
		if text, ok := constant(command); ok && text != strings.TrimSuffix(want, "\n") {
			t.Errorf("%q printed %q, not the constant %q", command, want, text)
		}
	})
}

func run(home string, argv ...string) string {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home)
	out, _ := cmd.Output()
	return string(out)
}
