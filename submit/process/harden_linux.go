package process

import "golang.org/x/sys/unix"

// hasCapabilities reports whether the file at path gives rights to who runs it
// (setcap(8)). Those that a service hands on (ambient) are not the file's.
func hasCapabilities(path string) bool {
	n, err := unix.Getxattr(path, "security.capability", nil)
	return n > 0 || err == unix.ERANGE
}

// secureExec reports what the kernel says in AT_SECURE.
func secureExec() bool {
	const secure = 23
	vector, err := unix.Auxv()
	if err != nil {
		return false
	}
	for _, entry := range vector {
		if entry[0] == secure {
			return entry[1] != 0
		}
	}
	return false
}
