// Generate writes the files of a package that the program writes itself where there is
// no package: the units, and what makes the folder of the queues and the service's user.
//
//	go run .ci/packaging/generate.go FOLDER
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"sendoff/config/machine"
	"sendoff/submit/queue"
	"sendoff/submit/spool"
)

// program is where packages have it.
const program = "/usr/bin/sendoff"

func main() {
	files := map[string]string{
		"tmpfiles.conf": fmt.Sprintf("d %s 1777 root root -\n", queue.Shared),
		"sysusers.conf": "u sendoff - \"sendoff, mail for a whole machine\" /var/lib/sendoff\n",
	}
	for _, u := range append(spool.Units(program), machine.Units(program)...) {
		files[filepath.Join("units", u.Name)] = u.Text
	}
	for name, text := range files {
		path := filepath.Join(os.Args[1], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
