//go:build !unix

package process

// LockFolder does nothing: folders cannot be locked here.
func LockFolder(string) (release func()) { return func() {} }
