//go:build !unix

package process

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"
)

// RunAs returns errors.ErrUnsupported.
func RunAs(context.Context, User, io.Writer, time.Duration, ...string) error {
	return errors.ErrUnsupported
}

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
