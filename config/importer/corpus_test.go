package importer_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"sendoff/config"
	"sendoff/config/importer"
	"sendoff/config/setup"
	"sendoff/submit/credential"
	"sendoff/submit/status"
)

var update = flag.Bool("update", false, "write what comes out into the corpus")

// A ring is a keyring in memory.
type ring map[string]string

func (r ring) Set(_, username, secret string) error { r[username] = secret; return nil }
func (r ring) Delete(_, username string) error      { delete(r, username); return nil }
func (r ring) Get(_, username string) (string, error) {
	if secret, ok := r[username]; ok {
		return secret, nil
	}
	return "", credential.ErrNotFound
}

// stored returns the passwords in files beside the configuration, by the name of the
// account.
func stored(t *testing.T, i *setup.Import) map[string]string {
	t.Helper()
	all := make(map[string]string)
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(i.Target), "*.secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || os.PathSeparator == '/' && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, mode %v", path, err, statErr, info.Mode())
		}
		all[strings.TrimSuffix(filepath.Base(path), ".secret")] = strings.TrimSuffix(string(text), "\n")
	}
	return all
}

// newImport returns an Import of a file in home; it runs as the user ann.
func newImport(home, file string, keyring credential.Keyring) *setup.Import {
	user := filepath.Join(home, ".config", "sendoff", "config.toml")
	return &setup.Import{
		File:   file,
		Target: user,
		Paths:  config.Paths{User: user},
		Reader: importer.Reader{
			Home:       home,
			Root:       home,
			ConfigHome: filepath.Join(home, ".config"),
			Identity:   config.Identity{UID: 1000, Login: "ann", Home: home, Hostname: "host", FQDN: "host.example.org", Mailname: "mail.example.org"},
		},
		Store: &credential.Store{Keyring: keyring, Home: home},
	}
}

// private returns a folder that only this user can write to, whatever the umask is.
func private(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

// outcome runs i, and returns its output and messages, with ~ instead of home.
func outcome(t *testing.T, i *setup.Import) (toml, says string, err error) {
	t.Helper()
	var out, said strings.Builder
	err = i.Run(t.Context(), &out, func(line string) { said.WriteString(line + "\n") })
	return out.String(), strings.ReplaceAll(said.String(), i.Home, "~"), err
}

// TestCorpus imports the files of each archive in testdata. Without Write, toml has the
// expected output, and says the expected messages. With Write, passwords has the passwords
// that are stored. The first line of an archive names the file to import.
func TestCorpus(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			home := private(t)
			want := make(map[string]*[]byte)
			for i := range archive.Files {
				f := &archive.Files[i]
				if slices.Contains([]string{"toml", "says", "passwords"}, f.Name) {
					want[f.Name] = &f.Data
					continue
				}
				file := filepath.Join(home, filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			first, _, _ := strings.Cut(string(archive.Comment), "\n")
			keyring := make(ring)
			i := newImport(home, filepath.Join(home, strings.TrimSpace(first)), keyring)
			got := make(map[string]string)
			got["toml"], got["says"], err = outcome(t, i)
			if err != nil {
				got["says"] += strings.ReplaceAll(err.Error(), home, "~") + "\n"
			}
			if len(stored(t, i)) > 0 {
				t.Error("something was stored without being asked to")
			}
			if err == nil {
				i.Write = true
				if _, _, err := outcome(t, i); err != nil {
					t.Errorf("with Write: %v", err)
				}
				loads(t, i, got["toml"])
			}
			passwords := stored(t, i)
			got["toml"], got["passwords"] = strings.ReplaceAll(got["toml"], home, "~"), ""
			for _, name := range slices.Sorted(maps.Keys(passwords)) {
				got["passwords"] += name + " " + passwords[name] + "\n"
			}
			if len(keyring) > 0 {
				t.Error("a password went to the keyring")
			}
			for line := range strings.Lines(got["says"]) {
				if n := utf8.RuneCountInString("sendoff: " + strings.TrimSuffix(line, "\n")); n > 100 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			for _, name := range []string{"toml", "says", "passwords"} {
				if want[name] == nil {
					archive.Files = append(archive.Files, txtar.File{Name: name})
					want[name] = &archive.Files[len(archive.Files)-1].Data
				}
				if string(*want[name]) != got[name] && !*update {
					t.Errorf("%s:\ngot\n%s\nwant\n%s", name, got[name], *want[name])
				}
				for i := range archive.Files {
					if archive.Files[i].Name == name {
						archive.Files[i].Data = []byte(got[name])
					}
				}
			}
			for _, secret := range passwords {
				if strings.Contains(got["toml"]+got["says"], secret) {
					t.Errorf("the password %q is shown", secret)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// loads checks that the configuration that i has written is text and can be loaded.
func loads(t *testing.T, i *setup.Import, text string) {
	t.Helper()
	written, err := os.ReadFile(i.Target)
	if err != nil || string(written) != text {
		t.Errorf("wrote %q, %v", written, err)
	}
	if _, err := config.Load(config.Paths{User: i.Target, Home: i.Home}); err != nil {
		t.Errorf("does not load: %v", err)
	}
}

// msmtprc writes an msmtprc in a new home.
func msmtprc(t *testing.T, text string) (home, file string) {
	t.Helper()
	home = private(t)
	file = filepath.Join(home, ".msmtprc")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home, file
}

// TestDistrust: from a file that others can write, only host, port, user and from are
// imported; no password, file or command, and nothing that weakens TLS.
func TestDistrust(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("modes are of no account")
	}
	home, file := msmtprc(t, "defaults\naliases /etc/aliases.evil\nlogfile /etc/cron.d/evil\ntls on\ntls_trust_file /home/mallory/ca.pem\n"+
		"tls_key_file /etc/shadow\ntls_cert_file /home/mallory/cert\nproxy_host 192.0.2.1\nproxy_port 1080\n"+
		"account work\nhost smtp.example.org\nport 2525\nauth plain\nuser ann\nfrom ann@example.org\npassword "+marker+"\n"+
		"account other\nsocket /home/mallory/s\naccount default : work\n")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	i := newImport(home, file, ring{})
	toml, says, err := outcome(t, i)
	const want = "account = \"work\"\n\n[accounts.work]\nserver = \"smtp://smtp.example.org:2525\"\nuser = \"ann\"\nfrom = \"ann@example.org\"\n"
	if err != nil || toml != want || strings.Contains(says, marker) || strings.Contains(says, "stores it") {
		t.Errorf("%v\n%s\n%s", err, toml, says)
	}
	if !strings.Contains(says, "\nso only host, port, user and from were imported, not aliases, log, auth,") {
		t.Errorf("it says\n%s", says)
	}
}

// TestUntrustedCommand: a command in a file that others can write is not imported.
func TestUntrustedCommand(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("modes are of no account")
	}
	home, file := msmtprc(t, "account work\nhost smtp.example.org\nauth on\nuser ann\npasswordeval pass show mail\n")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	toml, says, err := outcome(t, newImport(home, file, ring{}))
	if err != nil || strings.Contains(toml, "pass show") || !strings.Contains(says, "other users could have written this file") {
		t.Errorf("%v\n%s\n%s", err, toml, says)
	}
}

// A file with passwords that other users can write is not read, even if a trusted file
// names it.
func TestUntrustedBeside(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("file modes have no effect on Windows")
	}
	home, file := msmtprc(t, "account work\nhost smtp.example.org\nauth on\nuser ann\n")
	netrc := filepath.Join(home, ".netrc")
	if err := errors.Join(os.WriteFile(netrc, []byte("machine smtp.example.org login ann password "+marker+"\n"), 0o600), os.Chmod(netrc, 0o666)); err != nil {
		t.Fatal(err)
	}
	i := newImport(home, file, ring{})
	i.Write = true
	toml, says, err := outcome(t, i)
	if err != nil || strings.Contains(toml, "file:") || len(stored(t, i)) > 0 || !strings.Contains(says, "~/.netrc: other users could have written this file") {
		t.Errorf("%v\n%s\n%s", err, toml, says)
	}
}

// If only root can read a file, the import shows the command that root runs.
func TestUnreadable(t *testing.T) {
	if os.PathSeparator == '\\' || os.Geteuid() == 0 {
		t.Skip("root can read all files, and file modes have no effect on Windows")
	}
	home := private(t)
	conf, auth := filepath.Join(home, "dma.conf"), filepath.Join(home, "auth.conf")
	for path, text := range map[string]string{conf: "SMARTHOST smtp.example.org\nAUTHPATH " + auth + "\n", auth: "ann|smtp.example.org:x\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(auth, 0); err != nil {
		t.Fatal(err)
	}
	_, says, err := outcome(t, newImport(home, conf, ring{}))
	if err != nil || !strings.Contains(says, "~/auth.conf: permission denied; this file was not imported\nto import it too, run this as root: sudo sendoff --import ~/dma.conf\n") {
		t.Errorf("%v\n%s", err, says)
	}
	if err := os.Chmod(conf, 0); err != nil {
		t.Fatal(err)
	}
	_, _, err = outcome(t, newImport(home, conf, ring{}))
	if hint := "run this as root: sudo sendoff --import " + conf; err == nil || err.Error() != "--import: "+conf+": permission denied" || status.Hint(err) != hint {
		t.Errorf("%v; %s", err, status.Hint(err))
	}
}

// marker is a password that the tests can find wherever it appears.
const marker = "mArKeRpAsSwOrD"

// fuzz imports any text in any file of a program. The import must not crash, its output
// must be a valid configuration, and no output may contain a password.
func fuzz(f *testing.F, at string, names ...string) {
	f.Fuzz(func(t *testing.T, text string) {
		home := private(t)
		folder := filepath.Join(home, "etc")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		rest := text
		for _, name := range names { // a form feed separates the files
			var part string
			part, rest, _ = strings.Cut(rest, "\f")
			if err := os.WriteFile(filepath.Join(folder, name), []byte(part), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		i := newImport(home, filepath.Join(folder, at), ring{})
		var out bytes.Buffer
		var said strings.Builder
		err := i.Run(t.Context(), &out, func(line string) { said.WriteString(line + "\n") })
		if err == nil {
			if _, err := config.Check(config.Paths{Explicit: "config.toml", Home: home}, "config.toml", out.String()); err != nil {
				t.Errorf("does not load: %v\n%s", err, out.String())
			}
		} else if out.Len() > 0 || status.KindOf(err) != status.Config {
			t.Errorf("refused, but printed %q; %v", out.String(), err)
		}
		if shown := out.String() + said.String() + fmt.Sprint(err); secretIn(text) && strings.Contains(shown, marker) {
			t.Errorf("the password is shown:\n%s", shown)
		}
	})
}

// secretIn reports whether text has the marker only where the program expects a password.
func secretIn(text string) bool {
	places := regexp.MustCompile(`(?i)^((password|passwordeval (?-i:echo)|machine \S+ login ann password)\s+|(authpass=|[a-z. ]+ pass=|[a-z]+\|[a-z.]+:|\[smtp\.example\.org\]:587 ann:|smtp_sasl_password_maps = static:ann:)\s*)$`)
	for line := range strings.Lines(strings.ReplaceAll(text, "\f", "\n")) {
		before, after, found := strings.Cut(line, marker)
		isCommand := strings.HasPrefix(strings.ToLower(before), "passwordeval") // only a command that is just an echo contains a password
		if found && (!places.MatchString(before) || strings.Contains(after, marker) || isCommand && strings.TrimSpace(after) != "") {
			return false
		}
	}
	return true
}

func FuzzMsmtp(f *testing.F) {
	f.Add("account a\nhost smtp.example.org\nauth on\nuser ann\npassword " + marker + "\naccount default : a\n")
	f.Add("defaults\ntls on\naccount a\nhost h.example\nfrom %U@%M, *@x.example\nport 587\naccount b : a\npasswordeval echo " + marker + "\nauth login\nuser x")
	f.Add("account a\nhost smtp.example.org\nauth on\nuser ann\n\fmachine smtp.example.org login ann password " + marker)
	f.Add("account a\nhost ::1\nprotocol lmtp\ntimeout 3\nproxy_host ::1\nproxy_port 9\nsource_ip 1.2.3.4\ndomain %C\nlogfile ~/x\ntls_fingerprint 00:11\nauto_from\nmaildomain x.example")
	f.Add("account \"a b\"\nsocket ~/s\nfrom_full_name \"A \\\" B\"\ntls_key_file /k\nallow_from_override off\nsyslog on")
	fuzz(f, "msmtprc", "msmtprc", "netrc")
}

func FuzzSsmtp(f *testing.F) {
	f.Add("mailhub=smtp.example.org:587\nUseSTARTTLS=YES\nAuthUser=ann\nAuthPass=" + marker + "\n\froot:ann@example.org:other.example:25\nbob:bob@example.org\n")
	f.Add("root=ann@example.org\nmailhub=[::1]:25\nrewriteDomain=x@y.example\nhostname=h.example\nUseTLS=yes\nTLSCert=/c\nTLSKey=/k\nUseTLSCert=YES\nAuthMethod=cram-md5\nAuthUser=a")
	fuzz(f, "ssmtp.conf", "ssmtp.conf", "revaliases")
}

func FuzzNullmailer(f *testing.F) {
	f.Add("smtp.example.org smtp port=587 starttls user=ann pass=" + marker + "\nother.example --user=ann --ssl\n\fhost\fann@example.org\f\fexample.org\f60\f3600\f604800\n")
	f.Add("h.example smtp 'pass=" + marker + "' user=\"a b\" x509certfile=/c insecure\f\f\fa@b.example\f\f0\f1\fx")
	fuzz(f, "remotes", "remotes", "me", "adminaddr", "allmailfrom", "defaultdomain", "pausetime", "maxpause", "queuelifetime")
}

func FuzzDma(f *testing.F) {
	f.Add("SMARTHOST smtp.example.org\nPORT 587\nAUTHPATH auth.conf\nSECURETRANSFER\nSTARTTLS\nMASQUERADE ann@example.org\n\fann|smtp.example.org:" + marker + "\n")
	f.Add("SMARTHOST h.example\nMAILNAME m.example\nMASQUERADE x.example\nDEFER\nALIASES /etc/aliases\nCERTFILE /c # x\nFINGERPRINT 00")
	fuzz(f, "dma.conf", "dma.conf", "auth.conf")
}

func FuzzPostfix(f *testing.F) {
	f.Add("relayhost = [smtp.example.org]:587\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:sasl_passwd\nsmtp_tls_security_level = encrypt\n\f[smtp.example.org]:587 ann:" + marker + "\n")
	f.Add("relayhost = [smtp.example.org]:587\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:ann:" + marker + "\nsmtp_tls_wrappermode = yes\n")
	f.Add("myhostname = a.example\nmydomain = ${myhostname}\nmyorigin = $mydomain\nmydestination =\n  $myhostname, $(x)\n# no\n b.example\nx = $x$$y${z?{a}:{b}}\nrelayhost = [::1]:smtps h.example,[ipv6:::2]\n" +
		"sender_dependent_relayhost_maps = texthash:relays\nsmtp_sender_dependent_authentication = yes\nsmtp_generic_maps = regexp:generic, static:ann@example.org\n\f@example.org u:p\na@b.example u:p\n\f@a.example [b.example]\nann DUNNO\nx@y.example DUNNO\n\f/.+/ a@b.example\n")
	f.Add("relayhost=a.example\nsm" + strings.Repeat("\x89", 14) + "t" + strings.Repeat("\x90", 10) + "ity_level = e") // not UTF-8, in a remark that is folded
	fuzz(f, "main.cf", "main.cf", "sasl_passwd", "relays", "generic")
}
