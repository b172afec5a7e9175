// Sendoff submits a message from standard input to a smarthost, the way
// sendmail does. Package program tells how; sendoff(1) is the manual.
package main

import (
	"os"

	"sendoff/submit/program"
)

func main() { os.Exit(program.Main(os.Args)) }
