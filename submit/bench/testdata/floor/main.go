// Floor is what a program costs that links what every submitter in Go must,
// and does nothing.
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"

	"github.com/spf13/pflag"
)

func main() {
	version := pflag.Bool("version", false, "")
	pflag.Parse()
	if *version {
		fmt.Println("floor")
		return
	}
	conn, err := net.Dial("tcp", os.Args[1])
	if err == nil {
		err = tls.Client(conn, &tls.Config{ServerName: "localhost"}).Handshake()
	}
	fmt.Println(err)
}
