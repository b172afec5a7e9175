//go:build !unix

package queue

import (
	"errors"
	"os"
)

// Shared is "": this system has no folder with a queue for each user.
const Shared = ""

// Unsupported says why this system has no queues; "": it has.
const Unsupported = "there is no queue on Windows"

// There are no queues on this system.

func Open(string, int) (*Queue, error)     { return nil, errors.ErrUnsupported }
func Existing(string, int) (*Queue, error) { return nil, errors.ErrUnsupported }
func Shares(int) ([]*Queue, error)         { return nil, errors.ErrUnsupported }
func MakeShared([]User) ([]string, error)  { return nil, errors.ErrUnsupported }
func MarkTimer([]byte) error               { return errors.ErrUnsupported }
func Users() ([]User, error)               { return nil, nil }
func IsShared(string) bool                 { return false }
func removed(os.FileInfo) bool             { return false }
func (q *Queue) TimerMark() []byte         { return nil }
