//go:build !unix

package process

import "time"

// LockFolder does nothing: folders cannot be locked here.
func LockFolder(string, time.Duration) (release func(), ok bool) { return func() {}, true }
