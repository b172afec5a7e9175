// Floor is a client with the fewest round trips that does nothing else: it
// looks at no header and no configuration, asks no capability, handles no
// refusal, and keeps nothing. What a submitter in Go costs above it is what
// the submitter does.
//
//	floor PORT AUTHORITY USER PASSWORD FROM TO...
//	floor --version
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
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
	if err := send(pflag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(75)
	}
}

func send(args []string) error {
	port, authority, user, password, from, to := args[0], args[1], args[2], args[3], args[4], args[5:]
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	message = bytes.ReplaceAll(message, []byte("\n"), []byte("\r\n"))
	text, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: "localhost", RootCAs: roots})
	if err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	replies := func(n int) error {
		for n > 0 {
			line, err := r.ReadString('\n')
			if err != nil || len(line) < 4 || line[0] > '3' {
				return fmt.Errorf("%q: %v", line, err)
			}
			if line[3] == ' ' {
				n--
			}
		}
		return nil
	}
	if err := replies(1); err != nil {
		return err
	}
	fmt.Fprintf(conn, "EHLO client.example\r\n")
	if err := replies(1); err != nil {
		return err
	}
	fmt.Fprintf(conn, "AUTH PLAIN %s\r\n", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
	if err := replies(1); err != nil {
		return err
	}
	var flight bytes.Buffer
	fmt.Fprintf(&flight, "MAIL FROM:<%s>\r\n", from)
	for _, a := range to {
		fmt.Fprintf(&flight, "RCPT TO:<%s>\r\n", a)
	}
	fmt.Fprintf(&flight, "BDAT %d LAST\r\n", len(message))
	flight.Write(message)
	if _, err := conn.Write(flight.Bytes()); err != nil {
		return err
	}
	if err := replies(2 + len(to)); err != nil {
		return err
	}
	fmt.Fprintf(conn, "QUIT\r\n")
	return conn.CloseWrite()
}
