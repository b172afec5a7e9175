//go:build !unix

package process

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"time"
)

// A Child is a process of this program that becomes another user; none can here.
type Child struct {
	UID          int
	Args         []string
	Errors       bool
	Limit, Grace time.Duration
}

// An ExitError is how a Child ended.
type ExitError struct{ Code int }

func (e ExitError) Error() string { return "exit status " + strconv.Itoa(e.Code) }

// Run returns errors.ErrUnsupported.
func (c Child) Run(context.Context, io.Writer) error { return errors.ErrUnsupported }

// KeepsKeys returns nil.
func KeepsKeys() error { return nil }

// Become returns errors.ErrUnsupported.
func Become(int, bool) error { return errors.ErrUnsupported }

// StartCommand starts cmd.
func StartCommand(cmd *exec.Cmd) error { return cmd.Start() }

// IsKnown returns false.
func IsKnown(int) bool { return false }

// RunAsCron returns errors.ErrUnsupported.
func RunAsCron(context.Context, string, []string, ...string) (string, error) {
	return "", errors.ErrUnsupported
}

// UserName returns the number.
func UserName(uid int) string { return strconv.Itoa(uid) }

// Users returns errors.ErrUnsupported.
func Users() ([][2]int, error) { return nil, errors.ErrUnsupported }

// Expired returns nobody.
func Expired(time.Time) map[int]bool { return nil }
