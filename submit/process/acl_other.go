//go:build unix && !linux

package process

import "os"

// aclOf returns false: the lists of this system are not read.
func aclOf(*os.File) bool { return false }

// aclAt likewise.
func aclAt(string) bool { return false }
