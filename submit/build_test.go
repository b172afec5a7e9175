package submit_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// names are the program's names that are on the scripts' PATH.
var names = [...]string{"sendoff", "sendmail", "mailq", "newaliases", "runq", "rmail", "hoststat", "purgestat", "smtpd", "msmtp"}

// linked is a variable that only the tests' binary obeys.
const linked = "-X sendoff/config.homeVariable=SENDOFF_TEST_HOME"

// built is the one binary of a run of the tests.
var built struct {
	once sync.Once
	bin  string // the folder
	err  error
}

// build builds the binary under all its names and returns their folder.
func build(t *testing.T) string {
	t.Helper()
	built.once.Do(func() { built.bin, built.err = buildOnce() })
	if errors.Is(built.err, exec.ErrNotFound) {
		t.Skip("no go command to build sendoff with")
	} else if built.err != nil {
		t.Fatal(built.err)
	}
	return built.bin
}

func buildOnce() (bin string, err error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	if bin, err = os.MkdirTemp("", "sendoff-test"); err != nil {
		return "", err
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	program := filepath.Join(bin, names[0]+suffix)
	if out, err := exec.Command(goTool, "build", "-ldflags", linked, "-o", program, "./testdata/outside").CombinedOutput(); err != nil {
		return bin, fmt.Errorf("%w\n%s", err, out)
	}
	if self, err := os.Executable(); err == nil {
		os.Symlink(self, filepath.Join(bin, "play")) // only used where there are links
	}
	for _, name := range names[1:] {
		err = errors.Join(err, os.Link(program, filepath.Join(bin, name+suffix)))
	}
	return bin, errors.Join(err, os.Chmod(bin, 0o755))
}
