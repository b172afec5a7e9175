package cmdline

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// letters is the option string for getopt(3) with the options of all sendmails. "::" marks
// an argument that is attached.
const letters = "46A:B:C:D:E::F:GIJ::L:M:N:O:Q::R:TUV:X:a:b:cd::e:f:h:imno:p:q::r:stvx"

const golden = "testdata/getopt.golden"

var update = flag.Bool("update", false, "write the golden files anew; that of getopt(3) with the C library's")

// TestLetters compares the table of flags with the option string.
func TestLetters(t *testing.T) {
	var rows []string
	table := forFace(Sendmail, flags(new(Command)))
	for i := range table {
		if f := &table[i]; f.Letter != 0 && f == find(table, "-"+string(rune(f.Letter))) {
			rows = append(rows, string(rune(f.Letter))+[...]string{None: "", Required: ":", Attached: "::"}[f.Arg])
		}
	}
	slices.Sort(rows)
	if got := strings.Join(rows, ""); got != letters {
		t.Errorf("the flags are %s, want %s", got, letters)
	}
}

// TestGetoptGolden: each command line of the golden file is read as glibc's getopt(3) has
// read it.
func TestGetoptGolden(t *testing.T) {
	if *update {
		lines := nastyLines()
		writeGolden(t, lines, getopt(t, lines))
	}
	in, want := readGolden(t)
	if len(in) < 300 {
		t.Fatalf("%s has %d command lines", golden, len(in))
	}
	for i, line := range in {
		if got := ours(line); got != want[i] {
			t.Errorf("%q\n got %q\nwant %q", line, got, want[i])
		}
	}
}

// TestGetopt compares the golden file with getopt(3) of this machine.
func TestGetopt(t *testing.T) {
	in, want := readGolden(t)
	for i, got := range getopt(t, in) {
		if got != want[i] {
			t.Errorf("%q\n  getopt %q\n  golden %q", in[i], got, want[i])
		}
	}
}

// ours returns the result of read for a command line, in the notation of getopt.c.
func ours(line string) string {
	var out []string
	operands, err := read(forFace(Sendmail, flags(new(Command))), strings.Split(line, "\t"), func(o option) error {
		s := o.form
		if o.flag.Arg == Required || o.value != "" {
			s += "=" + o.value
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		text := err.Error()
		letter := strings.Trim(text[strings.LastIndex(text, " ")+1:], "'")
		if strings.HasPrefix(text, "option requires an argument") {
			return strings.Join(append(out, ": "+letter), "\t")
		}
		return strings.Join(append(out, "? "+letter), "\t")
	}
	return strings.Join(append(append(out, "--"), operands...), "\t")
}

// nastyLines returns command lines; they are the same in each call.
func nastyLines() []string {
	tokens := []string{
		"-t", "-i", "-ti", "-it", "-tif", "-v", "-vv", "-n", "-tv-", "-t-i", "-i1",
		"-f", "-fa@b", "-f=a@b", "-f=", "-f-t", "-f ", "-tfa@b", "-r", "-rb@c", "-F", "-FCronDaemon", "-FA B",
		"-oi", "-o", "-oem", "-odi", "-odb", "-or0s", "-oA/x", "-o=x", "-O", "-OTimeout.q=3", "-O=x",
		"-q", "-q30m", "-qRfoo.com", "-qf", "-qp5m", "-q=1", "-Qwhy", "-Q", "-d", "-d0.1", "-d=", "-E", "-Ex", "-J", "-Jy",
		"-N", "-Nnever", "-R", "-Rfull", "-V", "-Vid", "-B8BITMIME", "-B", "-b", "-bs", "-bp", "-bm", "-ib", "-h", "-h5",
		"-L", "-Ltag", "-C/etc/x", "-C", "-X", "-X/x", "-D/x", "-Ac", "-A", "-Mxy", "-p", "-pUUCP:h", "-a", "-aw",
		"-G", "-m", "-s", "-c", "-I", "-x", "-T", "-U", "-4", "-6", "-46t",
		"-z", "-S", "-tz", "-test.v", "-test.run=x", "-W", "-:", "-;", "-?", "-tS", "-Z9",
		"--", "--", "-", "", "x@y", "root", "A B <a@b>, c@d", "x", "=", "@", "$(id)", "ü@x", "never", "full",
	}
	r := rand.New(rand.NewPCG(5321, 5322))
	lines := []string{"", "-", "--", "-f", "-f\t--", "-f\t--\t-t", "-q\tx", "-q\t-t", "x\t-t\t--\t-v", "--\t--\t-t"}
	for len(lines) < 600 {
		words := make([]string, 1+r.IntN(6))
		for i := range words {
			words[i] = tokens[r.IntN(len(tokens))]
		}
		lines = append(lines, strings.Join(words, "\t"))
	}
	return lines
}

// getopt reads command lines with getopt(3) of the C library.
func getopt(t *testing.T, lines []string) []string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to try getopt(3) with")
	}
	program := filepath.Join(t.TempDir(), "getopt")
	source := filepath.Join("testdata", "getopt.c")
	glibc := exec.Command(cc, "-E", "-dM", "-include", "features.h", "-x", "c", os.DevNull)
	if out, err := glibc.Output(); err != nil || !strings.Contains(string(out), "__GLIBC__") {
		t.Skip("the C library is not glibc, whose getopt(3) is the model")
	}
	if out, err := exec.Command(cc, "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	run := exec.Command(program, letters)
	run.Env = []string{} // POSIXLY_CORRECT would stop options after operands
	run.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	read := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(read) != len(lines) {
		t.Fatalf("getopt read %d command lines, want %d", len(read), len(lines))
	}
	return read
}

// The golden file has two lines for each command line: "$" with its words, and the result
// of getopt(3). All parts are separated by tabs.

func writeGolden(t *testing.T, in, out []string) {
	t.Helper()
	var b strings.Builder
	for i := range in {
		fmt.Fprintf(&b, "$\t%s\n\t%s\n", in[i], out[i])
	}
	if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readGolden(t *testing.T) (in, out []string) {
	t.Helper()
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if i%2 == 0 {
			in = append(in, strings.TrimPrefix(line, "$\t"))
		} else {
			out = append(out, strings.TrimPrefix(line, "\t"))
		}
	}
	if len(in) != len(out) {
		t.Fatalf("%s has %d command lines and %d answers", golden, len(in), len(out))
	}
	return in, out
}
