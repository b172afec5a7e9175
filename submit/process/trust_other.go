//go:build !unix

package process

import (
	"io/fs"
	"os"
)

// Trust returns nil: this platform's access rights are not judged.
func Trust(*os.File, string) error { return nil }

// TrustSecret returns nil: this platform's access rights are not judged.
func TrustSecret(*os.File, string, string) error { return nil }

// TrustPrivate judges nothing likewise; err says that there is no such file.
func TrustPrivate(path, _ string) (loose, err error) {
	_, err = os.Stat(path)
	return nil, err
}

// TrustAll returns nil: this platform's access rights are not judged.
func TrustAll(string) error { return nil }

// TrustWay returns nil likewise.
func TrustWay(string) error { return nil }

// TrustProgram returns nil likewise.
func TrustProgram(string) error { return nil }

// LikeFile does nothing: a file has no owner or mode here that another could have.
func LikeFile(*os.File, fs.FileInfo) {}
