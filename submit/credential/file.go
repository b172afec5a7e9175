package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sendoff/submit/process"
)

func (p place) path() (string, error) {
	path := p.ref.Path(p.store.home())
	if !filepath.IsAbs(path) {
		return "", errors.New("the home folder is not known")
	}
	return path, nil
}

func (p place) getFile(context.Context) (string, error) {
	path, err := p.path()
	if err != nil {
		return "", err
	}
	text, err := p.read(path)
	return firstLine(text), err
}

func (p place) getSystemd(context.Context) (string, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if !filepath.IsAbs(dir) {
		return "", Lacking("no $CREDENTIALS_DIRECTORY: no unit with LoadCredential has started this process")
	}
	text, err := p.read(filepath.Join(dir, p.ref.Arg()))
	if errors.Is(err, fs.ErrNotExist) {
		err = Lacking(err.Error())
	}
	return firstLine(text), err
}

// read returns the first octets of a file: enough to hold the longest secret, and to see
// that a secret is too long. It follows links, and judges the file that it has opened.
func (p place) read(path string) ([]byte, error) {
	f, err := process.OpenRegular(path)
	if err == process.ErrNotRegular {
		return nil, unusable{err}
	}
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	if err := process.TrustSecret(f, path, p.store.home()); err != nil {
		return nil, unusable{err}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+2))
	return text, plain(err)
}

// putFile replaces the file, or creates it. It does not replace a file that contains more
// than a secret. If the folder is missing, putFile makes it with mode 0700.
func (p place) putFile(_ context.Context, secret string) error {
	path, err := p.destination()
	if err != nil {
		return err
	}
	sweep(path, strayAge)
	return plain(process.Replace(path, unfinished(path)+"*", []byte(secret+"\n"), 0))
}

// unfinished returns the beginning of the temporary file's name while path is written.
func unfinished(path string) string { return "." + filepath.Base(path) + ".new-" }

// strayAge is the age at which a temporary file cannot belong to a running process any
// more.
const strayAge = time.Minute

// sweep removes the temporary files of path that processes left when they were killed, if
// they are at least as old as age. They may contain valid tokens.
func sweep(path string, age time.Duration) {
	folder, begin := filepath.Dir(path), unfinished(path)
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), begin) {
			continue
		}
		if info, err := e.Info(); err == nil && (age == 0 || time.Since(info.ModTime()) >= age) {
			os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

// readyFile returns why putFile would fail. It writes a temporary file of the length of the
// longest secret, because on a full disk an empty file can still be created.
func (p place) readyFile() error {
	path, err := p.destination()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), unfinished(path)+"*")
	if err != nil {
		return plain(err)
	}
	_, err = f.Write(make([]byte, maxSecret))
	return plain(errors.Join(err, f.Close(), os.Remove(f.Name())))
}

// destination returns the path of the file to replace or create. It makes the file's
// folder.
func (p place) destination() (string, error) {
	path, err := p.target()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if process.IsMountPoint(path) {
		return "", errors.New("the file itself is mounted, so it cannot be replaced; mount its folder instead")
	}
	if err := p.judgeWay(); err != nil {
		return "", err
	}
	return path, plain(os.MkdirAll(filepath.Dir(path), 0o700))
}

// judgeWay returns an error if other users could change a folder or link on the way to the
// file: they could choose which file we write or remove. Missing folders are skipped.
func (p place) judgeWay() error {
	path, err := p.path()
	if err != nil {
		return err
	}
	for ; path != "/"; path = filepath.Dir(path) {
		err := process.TrustWay(path)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return unusable{err}
		}
	}
	return nil
}

func (p place) deleteFile(context.Context) error {
	path, err := p.target()
	if err == nil {
		err = p.judgeWay()
	}
	if path != "" && !errors.As(err, new(unusable)) {
		sweep(path, 0)
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return plain(err)
	}
	return plain(process.SyncFolder(filepath.Dir(path)))
}

// target returns the path of the file to replace or remove, with all links followed. If the
// file does not exist, target returns the path and an error that is fs.ErrNotExist.
func (p place) target() (string, error) {
	path, err := p.path()
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	text, err := p.read(path)
	if err != nil {
		return path, err
	}
	if _, more, _ := bytes.Cut(text, []byte("\n")); len(bytes.TrimSpace(more)) > 0 {
		return path, errors.New("not changed, because it has more than one line")
	}
	return path, nil
}

// plain removes the path from an fs.PathError, because the reference before it names the
// path.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}
