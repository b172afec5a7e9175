//go:build !unix

package process

import (
	"errors"
	"io"
	"strconv"
	"time"
)

// RunAs returns errors.ErrUnsupported.
func RunAs(int, int, io.Writer, time.Duration, ...string) error { return errors.ErrUnsupported }

// UserName returns the number.
func UserName(uid int) string { return strconv.Itoa(uid) }

// Users returns errors.ErrUnsupported.
func Users() ([][2]int, error) { return nil, errors.ErrUnsupported }
