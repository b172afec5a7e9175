package main

import (
	"os"
	"testing"
)

// TestGrowStack calls growStack with as many arguments as a program that names all
// recipients of a list on the command line may give.
func TestGrowStack(t *testing.T) {
	defer func(args []string) { os.Args = args }(os.Args)
	os.Args = make([]string, 100_000)
	growStack()
}
