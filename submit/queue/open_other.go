//go:build !unix

package queue

import (
	"errors"
	"os"
)

// Shared is "": this system has no folder with a queue for each user.
const Shared = ""

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
