//go:build !unix

package process

import "os"

// Trust returns nil: this platform's access rights are not judged.
func Trust(*os.File, string) error { return nil }

// TrustSecret returns nil: this platform's access rights are not judged.
func TrustSecret(*os.File, string, string) error { return nil }
