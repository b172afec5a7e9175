//go:build !unix

package queue

import (
	"errors"
	"os"
)

// Shared is the folder that holds a queue for each user; there is none here.
const Shared = ""

// Open returns errors.ErrUnsupported: there is no queue on this system.
func Open(string, int) (*Queue, error) { return nil, errors.ErrUnsupported }

// Existing returns errors.ErrUnsupported.
func Existing(string, int) (*Queue, error) { return nil, errors.ErrUnsupported }

func removed(os.FileInfo) bool { return false }

// IsShared returns false.
func IsShared(string) bool { return false }

// A User is one who has a folder in Shared.
type User struct{ UID, GID int }

// Users returns none.
func Users() ([]User, error) { return nil, nil }

// Shares returns errors.ErrUnsupported.
func Shares(int) ([]*Queue, error) { return nil, errors.ErrUnsupported }

// MakeShared returns errors.ErrUnsupported.
func MakeShared([]User) ([]string, error) { return nil, errors.ErrUnsupported }

// MarkTimer returns errors.ErrUnsupported.
func MarkTimer([]byte) error { return errors.ErrUnsupported }

// TimerMark returns nothing.
func (q *Queue) TimerMark() []byte { return nil }
