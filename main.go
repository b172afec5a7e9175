// Sendoff submits a message from standard input to a smarthost, the way
// sendmail does. Package program tells how; sendoff(1) is the manual.
//
// x509negativeserial lets certificates with a negative serial number be read, so
// that tls-fingerprint can pin one; submit refuses all others (RFC 5280 section
// 4.1.2.2). netedns0 asks name servers without EDNS0, which some modems and
// gateways cannot read; no answer about a mail server needs it.
//
//go:debug x509negativeserial=1
//go:debug netedns0=0
package main

import (
	"os"

	"sendoff/submit/program"
)

func main() {
	growStack()
	os.Exit(program.Main(os.Args))
}

// growStack makes the stack as large at once as a submission needs. The runtime would let
// it grow in six steps, and look up each frame at each step: half a megabyte more of its
// tables would be in memory. The index is no constant, so that the compiler keeps the array.
//
//go:noinline
func growStack() byte {
	var stack [28 << 10]byte
	return stack[len(os.Args)%len(stack)]
}
