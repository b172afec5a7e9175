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

// commandLimit is how long a command may run if nobody is at the terminal. If a person is
// there, the limit is personLimit, because the command may ask for a passphrase.
const commandLimit = 10 * time.Second

// maxStderr is how many octets of a command's stderr are kept for the error.
const maxStderr = 4 << 10

// getCommand runs the command with /dev/null as stdin and returns the first line of its
// stdout. The user name and the host are not among its arguments: otherwise whoever can
// choose an address could pass an option to the command.
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
	text := stderr.String()
	if secret != "" {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	if text = status.Line(hideWords(text, argv[1:]), 200); text != "" {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	return "", err
}

// minWord is the length in octets of the shortest word that hideWords hides: a shorter word
// occurs in many error messages by chance.
const minWord = 6

// hideWords replaces in text, a command's stderr, the command's arguments by "…", and also
// the part of an argument after its first "=". Programs often quote an argument that they
// reject, and the argument may be a secret.
func hideWords(text string, args []string) string {
	words := slices.Clone(args)
	for _, arg := range args {
		_, value, _ := strings.Cut(arg, "=")
		words = append(words, value)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) }) // longest first, because a word may contain a shorter one
	for _, word := range words {
		if len(word) >= minWord {
			text = strings.ReplaceAll(text, word, "…")
		}
	}
	return text
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
