package cmdline

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"sendoff/submit/status"
)

// words splits a command line at spaces. Single quotes group words, as in a shell.
func words(line string) []string {
	var argv []string
	var word strings.Builder
	quoted, some := false, false
	for i := range len(line) + 1 {
		r := byte(' ')
		if i < len(line) {
			r = line[i]
		}
		switch {
		case r == '\'':
			quoted, some = !quoted, true
		case r == ' ' && !quoted:
			if some {
				argv = append(argv, word.String())
			}
			word.Reset()
			some = false
		default:
			word.WriteByte(r)
			some = true
		}
	}
	return argv
}

// describe returns every field of c that differs from an empty command line, without the
// fields that argv[0] alone sets.
func describe(c *Command) string {
	plain := Command{Face: c.Face, Name: c.Name, Mode: Submit, Submits: true, DeliveryMode: 'i', ErrorMode: 'p'}
	var out []string
	got, want := reflect.ValueOf(*c), reflect.ValueOf(plain)
	for i := range got.NumField() {
		if reflect.DeepEqual(got.Field(i).Interface(), want.Field(i).Interface()) {
			continue
		}
		name := got.Type().Field(i).Name
		switch v := got.Field(i).Interface().(type) {
		case bool:
			out = append(out, name)
		case byte:
			out = append(out, fmt.Sprintf("%s=%c", name, v))
		case *string:
			out = append(out, fmt.Sprintf("%s=%q", name, *v))
		case string, []string:
			out = append(out, fmt.Sprintf("%s=%q", name, v))
		default:
			out = append(out, fmt.Sprintf("%s=%v", name, v))
		}
	}
	return strings.Join(out, " ")
}

// TestParseCallers parses the command lines of programs that call sendmail.
func TestParseCallers(t *testing.T) {
	tests := []struct{ caller, line, want string }{
		{"Vixie cron", "sendmail -FCronDaemon -odi -oem -or0s root", `FullName="CronDaemon" Recipients=["root"] ErrorMode=m`},
		{"Debian cron", "/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem  root", `FullName="CronDaemon" Recipients=["root"] IgnoreDots ErrorMode=m Body=8BITMIME`},
		{"cronie", "/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f root", `From="root" FullName="CronDaemon" Extract IgnoreDots ErrorMode=m`},
		{"anacron", "/usr/sbin/sendmail -FAnacron -odi root", `FullName="Anacron" Recipients=["root"]`},
		{"atd", "sendmail -i ann", `Recipients=["ann"] IgnoreDots`},
		{"PHP", "/usr/sbin/sendmail -t -i", `Extract IgnoreDots`},
		{"PHP, fifth parameter", "/usr/sbin/sendmail -t -i -fwww@example.org", `From="www@example.org" Extract IgnoreDots`},
		{"PHPMailer", "/usr/sbin/sendmail -oi -fwww@example.org -t", `From="www@example.org" Extract IgnoreDots`},
		{"Symfony, empty sender, where getopt takes the next word", "/usr/sbin/sendmail -i -f'' ann@example.org", `From="ann@example.org" IgnoreDots`},
		{"SwiftMailer, recipients", "/usr/sbin/sendmail -fa@example.org ann@example.org bob@example.org", `From="a@example.org" Recipients=["ann@example.org" "bob@example.org"]`},
		{"Ruby mail", "/usr/sbin/sendmail -i -f a@example.org -- ann@example.org -t", `From="a@example.org" Recipients=["ann@example.org" "-t"] IgnoreDots`},
		{"Ruby mail, exim", "exim -i -t -f a@example.org", `From="a@example.org" Extract IgnoreDots`},
		{"Rails 6", "sendmail -i -t", `Extract IgnoreDots`},
		{"MIME::Lite", "/usr/lib/sendmail -t -oi -oem -fa@example.org", `From="a@example.org" Extract IgnoreDots ErrorMode=m`},
		{"Email::Sender", "sendmail -i -f a@example.org -- ann@example.org", `From="a@example.org" Recipients=["ann@example.org"] IgnoreDots`},
		{"Email::Sender, old", "sendmail -f a@example.org ann@example.org", `From="a@example.org" Recipients=["ann@example.org"]`},
		{"git send-email", "/usr/sbin/sendmail -f a@example.org -i ann@example.org", `From="a@example.org" Recipients=["ann@example.org"] IgnoreDots`},
		{"mutt", "/usr/sbin/sendmail -oem -oi -B8BITMIME -f a@example.org -N failure,delay -R hdrs -- ann@example.org", `From="a@example.org" Recipients=["ann@example.org"] IgnoreDots ErrorMode=m Notify=FAILURE,DELAY Return=HDRS Body=8BITMIME`},
		{"s-nail", "sendmail -i -m -v -F 'Ann A' -f a@example.org -- bob@example.org", `From="a@example.org" FullName="Ann A" Recipients=["bob@example.org"] IgnoreDots Verbose`},
		{"bsd-mailx", "sendmail -i -t -f a@example.org -m -v", `From="a@example.org" Extract IgnoreDots Verbose`},
		{"mailutils", "sendmail -oi -f a@example.org -t", `From="a@example.org" Extract IgnoreDots`},
		{"logwatch, mdadm, sudo", "/usr/sbin/sendmail -t", `Extract`},
		{"mdadm with MAILFROM", "/usr/lib/sendmail -t -froot", `From="root" Extract`},
		{"fail2ban", "/usr/sbin/sendmail -f 'fail2ban' 'root'", `From="fail2ban" Recipients=["root"]`},
		{"unattended-upgrades", "/usr/sbin/sendmail -oi -t", `Extract IgnoreDots`},
		{"reportbug", "/usr/sbin/sendmail -f a@example.org -oi -oem submit@bugs.example", `From="a@example.org" Recipients=["submit@bugs.example"] IgnoreDots ErrorMode=m`},
		{"Gitea", "sendmail -f git@example.org -i ann@example.org", `From="git@example.org" Recipients=["ann@example.org"] IgnoreDots`},
		{"Nodemailer", "sendmail -i ann@example.org", `Recipients=["ann@example.org"] IgnoreDots`},
		{"Emacs", "/usr/sbin/sendmail -oi -f ann -oA/etc/aliases -oem -odb -t", `From="ann" Extract IgnoreDots DeliveryMode=b ErrorMode=m`},
		{"Emacs, interactive", "/usr/sbin/sendmail -oi -f ann -oep -odi -t", `From="ann" Extract IgnoreDots`},
		{"Alpine", "/usr/sbin/sendmail -oem -t -oi", `Extract IgnoreDots ErrorMode=m`},
		{"nmh, pipe", "sendmail -t -odb -oem -i -m -v", `Extract IgnoreDots DeliveryMode=b ErrorMode=m Verbose`},
		{"systemd recipe", "sendmail -i root@localhost", `Recipients=["root@localhost"] IgnoreDots`},
		{"rmail", "rmail ann@example.org", `Recipients=["ann@example.org"] IgnoreDots`},
		{"s-nail, separate -O", "sendmail -O QueueDirectory=/tmp -O DeliveryMode=q ann", `Recipients=["ann"] DeliveryMode=q QueueOnly`},
	}
	for _, tt := range tests {
		c, err := Parse(words(tt.line))
		if err != nil || c.Mode != Submit || !c.Submits || c.Face != Sendmail {
			t.Errorf("%s: %s\n got %+v, error %v", tt.caller, tt.line, c, err)
		} else if got := describe(c); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.caller, tt.line, got, tt.want)
		}
	}
}

// TestParse has the meaning of each option and of each form of an argument.
func TestParse(t *testing.T) {
	tests := []struct{ line, want string }{
		{"", ``},
		{"sendmail", ``},
		{"sendmail x -t y -- -v", `Recipients=["x" "y" "-v"] Extract`},
		{"sendmail - '' '<>'", `Recipients=["-" "" "<>"]`},
		{"sendmail 'Ann A <a@b>, c@d' 'list: e@f;'", `Recipients=["Ann A <a@b>, c@d" "list: e@f;"]`},
		{"sendmail -tivn x", `Recipients=["x"] Extract IgnoreDots Verbose NoAliases`},
		{"sendmail -tfa@b -i", `From="a@b" Extract IgnoreDots`},
		{"sendmail -f a -r b", `From="b"`},
		{"sendmail -r a -f '<>'", `From="<>"`},
		{"sendmail -f ''", `From=""`},
		{"sendmail -f=a@b", `From="=a@b"`},
		{"sendmail -f -t x", `From="-t" Recipients=["x"]`},
		{"sendmail -h 5 -h7 -L tag x", `Recipients=["x"] SyslogTag="tag"`},
		{"sendmail -Ac -c -D f -Efoo -G -Jbar -m -MrX -p UUCP:h -Q -Qwhy -T -U -x -X f -4 -6 -d x", `Recipients=["x"] Verbose`},
		{"sendmail -e m", `ErrorMode=m`},
		{"sendmail -eq", `ErrorMode=q`},
		{"sendmail -oee -oex -e z -oe", `ErrorMode=e`},
		{"sendmail -odq -odz -od", `DeliveryMode=q QueueOnly`},
		{"sendmail -odqs", `DeliveryMode=q QueueOnly`},
		{"sendmail -o i x", `Recipients=["x"] IgnoreDots`},
		{"sendmail -oitrue -ov", `IgnoreDots Verbose`},
		{"sendmail -oi -oifalse", ``},
		{"sendmail -oIgnoreDots", `IgnoreDots`},
		{"sendmail -oA x", `Recipients=["x"]`},
		{"sendmail -o7 -o8 -om -oo -oL9 -oT3d -oQ/q -oMrESMTP -oMs h", `Recipients=["h"]`},
		{"sendmail -O DeliveryMode=background -OErrorMode=q -O ignoredots -O Verbose=True", `IgnoreDots DeliveryMode=b ErrorMode=q Verbose`},
		{"sendmail -O 'IgnoreDots = false' -O MaxHopCount=3 -O ''", ``},
		{"sendmail -B 8bitmime", `Body=8BITMIME`},
		{"sendmail -B7bit -Bbinary", `Body=7BIT Warnings=["-B \"binary\" is ignored: use 7BIT or 8BITMIME; the text of the message is standard input"]`},
		{"sendmail -N Never", `Notify=NEVER`},
		{"sendmail -N 'success, DELAY'", `Notify=SUCCESS,DELAY`},
		{"sendmail -N maybe", `Warnings=["-N \"maybe\" is ignored: use never, or success, failure and delay separated by commas"]`},
		{"sendmail -N ''", `Warnings=["-N \"\" is ignored: use never, or success, failure and delay separated by commas"]`},
		{"sendmail -N never,delay", `Warnings=["-N \"never,delay\" is ignored: never cannot be used with the others"]`},
		{"sendmail -R FULL", `Return=FULL`},
		{"sendmail -R headers", `Return=HDRS`},
		{"sendmail -R 'a\nb'", `Warnings=["-R \"a\\nb\" is ignored: use full or hdrs"]`},
		{"sendmail -V 'QQ 314159'", `EnvID="QQ 314159"`},
		{"sendmail -V ü -L 'a\tb'", `Warnings=["-V \"ü\" is ignored: use 1 to 100 printable ASCII characters" "-L \"a\\tb\" is ignored: use 1 to 100 printable ASCII characters"]`},
		{"sendmail -V " + strings.Repeat("x", 100), `EnvID="` + strings.Repeat("x", 100) + `"`},
		{"sendmail -bm x", `Recipients=["x"]`},
		{"sendmail -b a -bq -t", `Extract QueueOnly`},
		{"sendmail -s backup x@y", `Recipients=["backup" "x@y"] Warnings=["-s takes no argument, so \"backup\" is a recipient; write the subject into the message, as a line Subject:"]`},
		{"sendmail -s 'Disk full'", `Recipients=["Disk full"] Warnings=["-s takes no argument, so \"Disk full\" is a recipient; write the subject into the message, as a line Subject:"]`},
		{"sendmail -s root", `Recipients=["root"]`},
		{"sendmail root x@y -s", `Recipients=["root" "x@y"]`},
		{"sendmail -C /etc/passwd -C/x x", `Recipients=["x"]`},

		{"sendoff --account work --config=f -t", `Extract Config="f" Account="work"`},
		{"sendoff -a work -Cf --dry-run x", `Recipients=["x"] Config="f" Account="work" DryRun`},
		{"sendoff.exe --server smtps://h --user u --secret file:s=x x", `Recipients=["x"] Server="smtps://h" User="u" Secret="file:s=x"`},
		{"sendoff -s 'Disk report' --attach a.pdf --attach - --cc x@y --cc z --bcc w --reply-to r bob", `Recipients=["bob"] Composed="--subject" Subject="Disk report" Attach=["a.pdf" "-"] Cc=["x@y" "z"] Bcc=["w"] ReplyTo=["r"]`},
		{"sendoff -vs Disk --attach=a.pdf -f ann --reply-to=r bob", `From="ann" Recipients=["bob"] Verbose Composed="--subject" Subject="Disk" Attach=["a.pdf"] ReplyTo=["r"]`},
		{"sendoff.exe --attach a.pdf -s one -s two bob", `Recipients=["bob"] Composed="--attach" Subject="two" Attach=["a.pdf"]`},
		{"/tmp/exe/sendoff --rehearse you@example.org", `Recipients=["you@example.org"] Rehearse`},
		{"sendoff --from=a --full-name N --read-recipients --verbose x --ignore-dots --no-aliases", `From="a" FullName="N" Recipients=["x"] Extract IgnoreDots Verbose NoAliases`},
		{"sendoff --notify=never --return full --envelope-id ü --body 7bit --syslog-tag t", `SyslogTag="t" Notify=NEVER Return=FULL Body=7BIT Warnings=["-V \"ü\" is ignored: use 1 to 100 printable ASCII characters"]`},
		{"sendoff -oi -a work -f ann@example.org -t", `From="ann@example.org" Extract IgnoreDots Account="work"`}, // Emacs
		{"sendoff -s Disk report x@y", `Recipients=["report" "x@y"] Composed="--subject" Subject="Disk" Warnings=["\"report\" is a recipient; a subject of several words needs quotes: -s \"Disk report\""]`},
		{"sendoff -s Disk root admin", `Recipients=["root" "admin"] Composed="--subject" Subject="Disk"`},
		{"sendoff -v -a work -s one --dry-run x", `Recipients=["x"] Verbose Account="work" Composed="--subject" Subject="one" DryRun`},
		{"sendoff -t -a work --read-envelope-from --read-recipients", `FromHeader Extract Account="work"`},
		{"sendoff --file f -t", `Extract Config="f"`},
		{"sendoff -f '' -F '' x", `From="" Recipients=["x"]`},
		{"sendmail -N '' -L '' -V '' x", `Recipients=["x"] Warnings=["-N \"\" is ignored: use never, or success, failure and delay separated by commas" "-L \"\" is ignored: use 1 to 100 printable ASCII characters" "-V \"\" is ignored: use 1 to 100 printable ASCII characters"]`},
		{"sendoff --from= x", `From="" Recipients=["x"]`},
		{"sendoff x -- --config=f", `Recipients=["x" "--config=f"]`},
	}
	for _, tt := range tests {
		c, err := Parse(words(tt.line))
		if err != nil || c.Mode != Submit || !c.Submits {
			t.Errorf("%s\n got %+v, error %v", tt.line, c, err)
		} else if got := describe(c); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}

// TestParseModes has command lines that are valid and submit no message.
func TestParseModes(t *testing.T) {
	tests := []struct {
		line string
		want Mode
		rest string
	}{
		{"sendmail --version", Version, ``},
		{"sendmail --help", Help, ``},
		{"mailq --version", Version, ``},
		{"sendmail -bV", Version, ``},
		{"sendmail -d0.1", Version, ``},
		{"sendmail -bC -v", CheckConfig, `Verbose`},
		{"sendmail -bO", CheckConfig, ``},
		{"sendmail -bh -bH", Nothing, ``},
		{"sendmail -bv root ann@example.org", Verify, `Recipients=["root" "ann@example.org"]`},
		{"sendmail -v -bv -n root", Verify, `Recipients=["root"] Verbose NoAliases`},
		{"sendoff --config f -a work -bv root", Verify, `Recipients=["root"] Config="f" Account="work"`},
		{"sendmail -bi", Aliases, ``},
		{"sendmail -I -v", Aliases, `Verbose`},
		{"sendmail -bi -oA/etc/aliases", Aliases, ``},
		{"/usr/bin/newaliases", Aliases, ``},
		{"newaliases -I -bi", Aliases, ``},
		{"sendoff --config f -bi", Aliases, `Config="f"`},
		{"hoststat", Nothing, ``},
		{"/usr/bin/purgestat", Nothing, ``},
		{"/usr/sbin/sendmail -bs", Server, ``},                                     // Symfony
		{"/usr/sbin/sendmail -bs -i", Server, `IgnoreDots`},                        // Laravel
		{"/usr/sbin/sendmail -bs -odb -oem", Server, `DeliveryMode=b ErrorMode=m`}, // Alpine
		{"sendmail -odq -bs", Server, `DeliveryMode=q QueueOnly`},
		{"sendoff --listen=/run/x -C f", Listen, `Config="f" Entry="/run/x"`},
		{"sendoff --listen", Listen, ``},
		{"sendoff --listen /run/x -C f", Listen, `Config="f" Entry="/run/x"`},
		{"sendoff --import", Import, ``},
		{"sendoff --import=f", Import, `Entry="f"`},
		{"sendoff --import f --write --secret file:/x", Import, `Secret="file:/x" Entry="f" Write`},
		{"sendoff --add --config c --import f", Import, `Config="c" Entry="f" Add`},
		{"sendoff --completions zsh", Completions, `Entry="zsh"`},
		{"sendoff --setup", Setup, ``},
		{"sendoff --setup=ann@example.org", Setup, `Entry="ann@example.org"`},
		{"sendoff --setup ann@example.org --yes -a work -v", Setup, `Verbose Account="work" Entry="ann@example.org" Answers={    false true false false}`},
		{"sendoff --login work --for cron --flow paste", Login, `Account="work" Flow="paste" For="cron"`},
		{"sendoff --setup --for cron --flow paste", Setup, `Flow="paste" For="cron"`},
		{"sendoff --setup --client-id 1 --client-secret-file f --tenant t", Setup, `Answers={ 1 f t false false false false}`},
		{"sendoff --for cron --password-file - --setup --ispdb --force --no-test ann@example.org", Setup, `For="cron" Entry="ann@example.org" Answers={-    true false true true}`},
		{"sendoff --remove work", Remove, `Account="work"`},
		{"sendoff --remove --for machine", Remove, `For="machine"`},
		{"sendoff --doctor", Doctor, ``},
		{"sendoff --doctor=work", Doctor, `Account="work"`},
		{"sendoff --doctor work --json -v", Doctor, `Verbose Account="work" JSON`},
		{"sendoff --json -a work --doctor", Doctor, `Account="work" JSON`},
		{"sendoff --help", Help, ``},
		{"sendoff --help=all", Help, `Entry="all"`},
		{"sendoff --help all", Help, `Entry="all"`},
		{"sendmail --help=all", Help, `Entry="all"`},
		{"mailq --help=all", Help, `Entry="all"`},
		{"sendoff --config f --version", Version, `Config="f"`},
		{"sendoff --config f -bC", CheckConfig, `Config="f"`},
		{"sendoff --login work -v --config f --user u", Login, `Verbose Config="f" Account="work" User="u"`},
		{"sendoff --config f --logout work", Logout, `Config="f" Account="work"`},
	}
	for _, tt := range tests {
		c, err := Parse(words(tt.line))
		if err != nil || c.Mode != tt.want || c.Submits {
			t.Errorf("%s\n got %+v, error %v", tt.line, c, err)
			continue
		}
		c.Mode, c.Submits = Submit, true
		if got := describe(c); got != tt.rest {
			t.Errorf("%s\n got %s\nwant %s", tt.line, got, tt.rest)
		}
	}
}

// TestParseErrors has command lines whose exit code is 64. A "!" marks those that are not a
// submission, so that stdin is not read.
func TestParseErrors(t *testing.T) {
	tests := []struct{ line, want string }{
		{"sendmail -z", `invalid option -- 'z'`},
		{"sendmail -tS x", `invalid option -- 'S'`},
		{"sendmail -é", `invalid option -- 'é'`},
		{"sendmail -\xff", `invalid option -- '\xff'`},
		{"sendmail -\x1b[2J", `invalid option -- '\x1b'`},
		{"sendmail -t-", `invalid option -- '-'`},
		{"sendmail -t -f", `option requires an argument -- 'f'`},
		{"sendmail -F 'a\r\nBcc: x'", `-F: control character in "a\r\nBcc: x"`},
		{"sendmail -be '${run{/bin/sh}}'", `-b: the mode "e" is not supported`},
		{"sendmail --foo\x1b=x", `unknown option "--foo\x1b"`},
		{"sendmail --=x", `unknown option --`},
		{"sendmail --c", `unknown option --c`},
		{"sendoff --ver", `unknown option --ver; did you mean --verbose?`},
		{"sendoff --acount work", `unknown option --acount; did you mean --account?`},
		{"sendoff --docter", `unknown option --docter; did you mean --doctor?`},
		{"sendoff --patience=3 x", `unknown option --patience`},
		{"sendoff --attachment=f x", `unknown option --attachment; did you mean --attach?`},
		{"sendoff --subj=f x", `unknown option --subj; did you mean --subject?`},
		{"sendoff --sever=smtps://h", `unknown option --sever; did you mean --server?`},
		{"sendoff --queue-runer x", `unknown option --queue-runer; did you mean --queue-run?`},
		{"sendoff -t --fulname x", `unknown option --fulname; did you mean --full-name?`},
		{"sendmail --acount work", `unknown option --acount`},
		{"!mailq --docter", `unknown option --docter`},
		{"sendoff --dry-run=yes x", `--dry-run takes no argument`},
		{"sendoff --dry-run --rehearse x", `--dry-run cannot be used with --rehearse`},
		{"sendoff -t --cc x", `-t cannot be used with --cc: standard input is the text then, and has no header`},
		{"sendoff --bcc 'x\x00'", `--bcc: control character in "x\x00"`},
		{"sendoff -s 'a\tb' x", `-s: control character in "a\tb"`},
		{"sendoff -s '' x", `the argument of -s is empty (is a variable not set?)`},
		{"sendoff x -s y", `-s must come before recipients: sendoff -s TEXT …`},
		{"sendoff -bs --subject x", `-bs does not send the message on stdin, so it cannot be used with --subject`},
		{"sendoff --config", `--config requires an argument: --config FILE`},
		{"sendoff --queue-show", `--queue-show requires an argument: --queue-show ID`},
		{"sendoff -C", `option requires an argument -- 'C'`},

		{"sendoff --account '' x", `the argument of --account is empty (is a variable not set?)`},
		{"sendoff --account= x", `the argument of --account is empty (is a variable not set?)`},
		{"sendoff -a '' x", `the argument of -a is empty (is a variable not set?)`},
		{"sendoff --server '' x", `the argument of --server is empty (is a variable not set?)`},
		{"sendoff -L '' x", `the argument of -L is empty (is a variable not set?)`},
		{"sendoff --doctor=", `the argument of --doctor is empty (is a variable not set?)`},
		{"sendoff --login ''", `the argument of --login is empty (is a variable not set?)`},
		{"!sendoff --setup --for ''", `the argument of --for is empty (is a variable not set?)`},
		{"sendoff -f a@b --read-envelope-from x", `--read-envelope-from cannot be used with -f`},
		{"sendoff --doctor --read-envelope-from", `--doctor does not send the message on stdin, so it cannot be used with --read-envelope-from`},

		{"sendoff --host=mx.example.org x", `--host is not supported; use --server smtps://HOST:PORT or smtp://HOST:PORT (STARTTLS)`},
		{"sendoff --host mx.example.org x", `--host is not supported; use --server smtps://HOST:PORT or smtp://HOST:PORT (STARTTLS)`},
		{"sendoff -t --port=25", `--port is not supported; use --server smtps://HOST:PORT or smtp://HOST:PORT (STARTTLS)`},
		{"sendoff --tls x", `--tls is not supported; use --server smtps://HOST (TLS) or smtp://HOST (STARTTLS)`},
		{"sendoff --tls-starttls=off x", `--tls-starttls is not supported; use --server smtps://HOST (TLS) or smtp://HOST (STARTTLS)`},
		{"sendoff --serverinfo", `--serverinfo is not supported; use --doctor`},
		{"sendoff --pretend x", `--pretend is not supported; use --dry-run`},
		{"sendoff -S", `-S is not supported; use --doctor`},
		{"sendoff -tP x", `-P is not supported; use --dry-run`},
		{"sendoff --timeout=9 x", `--timeout is not supported; set timeout = "60s" in the configuration`},
		{"sendoff --auth=plain x", `--auth is not supported; use --user NAME; to name a mechanism set auth in the configuration`},
		{"sendoff -s Report --to x@y", `--to is not supported; write the recipients last, after all options`},
		{"sendoff -s Report -A report.pdf x@y", `-A does not attach a file; use --attach FILE`},
		{"sendoff --html x@y", `--html is not supported; write a header with Content-Type, and use -t`},
		{"sendoff --S x", `unknown option --S`},
		{"sendoff --configure=ann@example.org", `--configure is not supported; use --setup ADDRESS`},
		{"msmtp --host=mx.example.org x", `unknown option --host`},
		{"msmtp --account work x", `--account is not allowed under the name msmtp, only under the name sendoff`},
		{"msmtp -a work -t", `-a is not allowed under the name msmtp, only under the name sendoff`},

		{"sendmail -bs -t", `-bs does not send the message on stdin, so it cannot be used with -t`},
		{"!sendmail -bs ann", `-bs does not send the message on stdin, so it takes no recipient: ann`},
		{"!sendmail -bd -q30m", `-q cannot be used with -bd`},
		{"!sendmail -bd", `-bd: sendoff only sends mail and cannot run as a mail server`},
		{"!sendmail -bD", `-bD: sendoff only sends mail and cannot run as a mail server`},
		{"!sendmail -bl", `-bl: sendoff only sends mail and cannot run as a mail server`},
		{"!smtpd", `smtpd: sendoff only sends mail and cannot run as a mail server`},
		{"!sendmail -bt", `-bt: test mode is not supported; use sendoff --dry-run`},
		{"!sendmail -bz", `-bz: a frozen configuration is not supported`},
		{"!sendmail -bS", `-bS: batched SMTP is not supported`},
		{"sendmail --listen=/run/x", `--listen is not allowed under the name sendmail, only under the name sendoff`},
		{"!sendoff --setup a@example.org b@example.org", `--setup takes an address and nothing else: b@example.org`},
		{"!sendoff --setup=a@example.org b@example.org", `--setup takes an address and nothing else: b@example.org`},
		{"sendoff --setup -t", `--setup does not send the message on stdin, so it cannot be used with -t`},
		{"sendoff a@example.org --setup", `--setup must come before recipients: sendoff --setup …`},
		{"sendmail --setup", `--setup is not allowed under the name sendmail, only under the name sendoff`},
		{"sendoff --for cron x", `--for can only be used with --login ACCOUNT, --setup, --import or --remove`},
		{"!sendoff --setup --json ann@example.org", `--json can only be used with --doctor or --status`},
		{"!sendoff --logout work --for cron", `--for can only be used with --login ACCOUNT, --setup, --import or --remove`},
		{"!sendoff --login work --for cron --yes", `--yes can only be used with --setup`},
		{"!sendoff --yes --login work", `--yes can only be used with --setup`},
		{"!sendoff --doctor=work home", `--doctor takes an account and nothing else: home`},
		{"!sendoff --doctor work home", `--doctor takes an account and nothing else: home`},
		{"!sendoff -a work --doctor home", `--doctor takes an account and nothing else: home`},
		{"sendoff --doctor -t", `--doctor does not send the message on stdin, so it cannot be used with -t`},
		{"sendoff work --doctor", `--doctor must come before recipients: sendoff --doctor …`},
		{"sendmail --doctor", `--doctor is not allowed under the name sendmail, only under the name sendoff`},
		{"sendoff --json x", `--json can only be used with --doctor or --status`},
		{"!sendoff --login work --json", `--json can only be used with --doctor or --status`},
		{"!sendoff --import f g", `--import takes a file and nothing else: g`},
		{"!sendoff --import=f g", `--import takes a file and nothing else: g`},
		{"sendoff --import -t", `--import does not send the message on stdin, so it cannot be used with -t`},
		{"sendoff f --import", `--import must come before recipients: sendoff --import …`},
		{"sendmail --import", `--import is not allowed under the name sendmail, only under the name sendoff`},
		{"sendoff --write x", `--write can only be used with --import`},
		{"!sendoff --login work --add", `--add can only be used with --import`},
		{"!sendoff --completions bash zsh", `--completions does not send the message on stdin, so it takes no recipient: zsh`},
		{"sendmail --completions bash", `--completions is not allowed under the name sendmail, only under the name sendoff`},

		{"sendmail -t -bp", `-bp does not send the message on stdin, so it cannot be used with -t`},
		{"sendmail -bp -t", `-bp does not send the message on stdin, so it cannot be used with -t`},
		{"sendmail -bV -f x", `-bV does not send the message on stdin, so it cannot be used with -f`},
		{"sendmail -rx -d0.1", `-d does not send the message on stdin, so it cannot be used with -f`},
		{"sendmail -FCronDaemon -odi -bp", `-bp does not send the message on stdin, so it cannot be used with -F`},
		{"sendmail -i -bh", `-bh does not send the message on stdin, so it cannot be used with -i`},
		{"rmail -bh", `-bh does not send the message on stdin, so it cannot be used with -i`},
		{"sendmail x -bh", `-bh does not send the message on stdin, so it cannot follow a recipient`},
		{"!sendmail -bh x", `-bh does not send the message on stdin, so it takes no recipient: x`},
		{"!sendmail -bh '\x1b[2J'", `-bh does not send the message on stdin, so it takes no recipient: "\x1b[2J"`},
		{"sendmail root -bv", `-bv does not send the message on stdin, so it cannot follow a recipient`},
		{"sendmail -bv -t root", `-bv does not send the message on stdin, so it cannot be used with -t`},
		{"sendmail -bv root -t", `-bv does not send the message on stdin, so it cannot be used with -t`},
		{"sendmail -f x -bv root", `-bv does not send the message on stdin, so it cannot be used with -f`},
		{"sendmail -FCronDaemon -bv root", `-bv does not send the message on stdin, so it cannot be used with -F`},
		{"sendmail -i -bv root", `-bv does not send the message on stdin, so it cannot be used with -i`},
		{"rmail -bv root", `-bv does not send the message on stdin, so it cannot be used with -i`},
		{"!sendmail -bv -bm root", `-bm cannot be used with -bv`},
		{"!sendmail -bi -bv root", `-bv cannot be used with -bi`},
		{"!mailq -bv root", `-bv cannot be used with mailq`},
		{"!sendmail -bv root -q", `-q cannot be used with -bv`},
		{"!sendmail -bv", `-bv requires an address to verify`},
		{"!newaliases x", `newaliases does not send the message on stdin, so it takes no recipient: x`},
		{"!sendmail -I x", `-I does not send the message on stdin, so it takes no recipient: x`},
		{"!newaliases -bp", `-bp cannot be used with newaliases`},
		{"!hoststat x", `hoststat does not send the message on stdin, so it takes no recipient: x`},
		{"!sendmail -bm -bV", `-bm cannot be used with -bV`},
		{"!sendmail -bV -bh", `-bh cannot be used with -bV`},
		{"!mailq -bV", `-bV cannot be used with mailq`},
		{"!sendoff --login work x", `--login does not send the message on stdin, so it takes no recipient: x`},
		{"!sendoff --dry-run -bV", `--dry-run cannot be used with -bV`},
		{"!sendoff --help --version", `--version cannot be used with --help`},
	}
	for _, tt := range tests {
		line, quiet := strings.CutPrefix(tt.line, "!")
		c, err := Parse(words(line))
		if err == nil || status.KindOf(err) != status.Usage || tt.want != "" && err.Error() != tt.want {
			t.Errorf("%s\n got %v\nwant %s", line, err, tt.want)
		}
		if c.Submits == quiet {
			t.Errorf("%s: Submits is %v", line, c.Submits)
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%s: %q is not for a terminal", line, err)
		}
	}
}

// TestParseName has the effects of argv[0].
func TestParseName(t *testing.T) {
	tests := []struct {
		argv []string
		face Face
		name string
	}{
		{nil, Sendmail, "sendmail"},
		{[]string{""}, Sendmail, "sendmail"},
		{[]string{"sendoff"}, Sendoff, "sendoff"},
		{[]string{"./sendoff"}, Sendoff, "sendoff"},
		{[]string{"/usr/bin/sendoff.exe"}, Sendoff, "sendoff.exe"},
		{[]string{"Sendoff"}, Sendmail, "Sendoff"},
		{[]string{"sendoff-1"}, Sendmail, "sendoff-1"},
		{[]string{"send-mail"}, Sendmail, "send-mail"},
		{[]string{"/usr/lib/sendmail"}, Sendmail, "sendmail"},
		{[]string{"/"}, Sendmail, "/"},
		{[]string{"a\x1bb"}, Sendmail, `"a\x1bb"`},
	}
	for _, tt := range tests {
		c, err := Parse(tt.argv)
		if err != nil || c.Face != tt.face || c.Name != tt.name && c.Name != strings.ReplaceAll(tt.name, "/", `\`) {
			t.Errorf("%q: face %d, name %s, error %v", tt.argv, c.Face, c.Name, err)
		}
	}
}

// TestMsmtp: each option of msmtp is an option of sendoff or a row of the table, which
// fits in a line, names options of sendoff and settings, and has no option of sendoff.
func TestMsmtp(t *testing.T) {
	all := flags(new(Command))
	known := make(map[string]bool)
	settings, err := os.ReadFile("../../man/sendoff.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msmtp {
		for form := range strings.FieldsSeq(m.forms) {
			known[form] = true
			if find(all, form) != nil {
				t.Errorf("%s is an option", form)
			}
			if line := fmt.Sprintf("sendoff: %s is not supported; %s", form, m.instead); len(line) > 100 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
		for word := range strings.FieldsSeq(m.instead) {
			if own := strings.Trim(word, ",;"); strings.HasPrefix(own, "-") && find(all, own) == nil {
				t.Errorf("%s is no option", own)
			}
		}
		if before, _, ok := strings.Cut(m.instead, " in the configuration"); ok {
			_, setting, _ := strings.Cut(before, "set ")
			setting, _, _ = strings.Cut(setting, " ")
			if !strings.Contains(string(settings), "\n.It Ic "+setting+"\n") {
				t.Errorf("%s is no setting in sendoff.toml(5)", setting)
			}
		}
	}
	// the options of msmtp 1.8.23
	for form := range strings.FieldsSeq("--version --help -P --pretend -d --debug --configure -S --serverinfo --rmqs -C --file -a --account " +
		"--host --port --source-ip --proxy-host --proxy-port --socket --timeout --protocol --domain --auth --user --passwordeval " +
		"--tls --tls-starttls --tls-trust-file --tls-crl-file --tls-fingerprint --tls-certcheck --tls-key-file --tls-cert-file " +
		"--tls-priorities --tls-host-override --tls-min-dh-prime-bits --auto-from -f --from --maildomain -N --dsn-notify -R --dsn-return " +
		"-X --logfile --logfile-time-format --syslog -t --read-recipients --read-envelope-from --aliases --set-from-header " +
		"--set-date-header --set-msgid-header --remove-bcc-headers --undisclosed-recipients -A -B -F -G -h -i -L -m -n -O -o -v") {
		if find(all, form) == nil && !known[form] {
			t.Errorf("%s is missing", form)
		}
	}
}

// TestTyped: words that mean an option if a person types them at a terminal. For Parse they
// are recipients.
func TestTyped(t *testing.T) {
	tests := []struct{ line, want string }{
		{"sendoff -h", "mode Help"},
		{"sendoff -?", "mode Help"},
		{"sendoff help", "mode Help"},
		{"sendoff -V", "mode Version"},
		{"sendoff.exe version", "mode Version"},
		{"sendoff setup", `"setup" would be a recipient; did you mean: sendoff --setup`},
		{"sendoff setup ann@example.org", `"setup" would be a recipient; did you mean: sendoff --setup ann@example.org`},
		{"sendoff login", `"login" would be a recipient; did you mean: sendoff --login ACCOUNT`},
		{"sendoff login work --for cron", `"login" would be a recipient; did you mean: sendoff --login work --for cron`},
		{"sendoff doctor", `"doctor" would be a recipient; did you mean: sendoff --doctor`},
		{"sendoff doctor '\x1b[2J'", `"doctor" would be a recipient; did you mean: sendoff --doctor "\x1b[2J"`},
		{"sendoff", "mode Submit"},
		{"sendoff -- setup", "mode Submit"},
		{"sendoff -v setup", "mode Submit"},
		{"sendoff help ann@example.org", "mode Submit"},
		{"sendoff queue-runner", "mode Submit"},
		{"sendoff account", "mode Submit"},
		{"sendmail help", "mode Submit"},
		{"mail setup", "mode Submit"},
		{"sendmail -h", "option requires an argument -- 'h'"},
	}
	names := map[Mode]string{Help: "Help", Version: "Version", Submit: "Submit"}
	for _, tt := range tests {
		c, err := Typed(words(strings.ReplaceAll(tt.line, `\x1b`, "\x1b")))
		got := "mode " + names[c.Mode]
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}
