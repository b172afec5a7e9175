package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sendoff/submit/process"
	"sendoff/submit/status"
)

// commandLimit is how long a command may run when no person is there; else it
// is personLimit, because the command may be asking for a passphrase.
const commandLimit = 10 * time.Second

// maxStderr is how much of a command's stderr is kept, in octets.
const maxStderr = 4 << 10

// getCommand runs the command with nothing on stdin and returns the first line
// that it prints. No address is among its arguments: who can choose an address
// must not be able to choose an option of a program.
func (p place) getCommand(ctx context.Context) (string, error) {
	argv, err := process.Argv(p.ref.Arg(), p.store.home())
	if err != nil {
		return "", err
	}
	limit := commandLimit
	if p.store.Interactive {
		limit = personLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %v", limit))
	defer cancel()

	stdout, stderr := bounded{limit: maxSecret + 2}, bounded{limit: maxStderr}
	cmd := process.Command(ctx, argv, p.store.Interactive)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = process.RunCommand(cmd)
	secret := firstLine(stdout.Bytes())
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		return secret, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	said := stderr.String()
	if secret != "" {
		said = strings.ReplaceAll(said, secret, hidden)
	}
	if said = status.Line(hideWords(said, argv[1:]), 200); said != "" {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return "", err
}

// minWord is the length of the shortest word that hideWords hides, in octets:
// what is shorter stands in half of all messages.
const minWord = 6

// hideWords hides a command's arguments in what it said, and what follows a = in
// one: many a program quotes those that it does not like, and one may be a secret.
func hideWords(said string, args []string) string {
	words := slices.Clone(args)
	for _, arg := range args {
		_, value, _ := strings.Cut(arg, "=")
		words = append(words, value)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) }) // none may be cut by a part of it
	for _, word := range words {
		if len(word) >= minWord {
			said = strings.ReplaceAll(said, word, "…")
		}
	}
	return said
}

// bounded keeps the first octets written to it and drops the rest.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), b.limit-b.Len())])
	return len(p), nil
}
