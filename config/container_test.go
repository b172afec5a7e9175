package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sendoff/submit/secret"
)

// snippet returns the lines of a block of sendoff-server(7) that has the mark "ci: NAME".
func snippet(t *testing.T, name string) []string {
	t.Helper()
	mark := regexp.MustCompile(`(?s)\n\.\\" ci: ` + name + `\n\.Bd[^\n]*\n(.*?)\n\.Ed\n`)
	block := mark.FindStringSubmatch(strings.Join(page(t, "sendoff-server.7"), "\n"))
	if block == nil {
		t.Fatalf("sendoff-server(7) has no block %s", name)
	}
	return strings.Split(block[1], "\n")
}

// TestReadmeImage: the README's Dockerfile is the manual's.
func TestReadmeImage(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "<!-- ci: dockerfile-debian -->\n```\n" + strings.Join(snippet(t, "dockerfile-debian"), "\n") + "\n```\n"
	if !strings.Contains(string(text), want) {
		t.Errorf("README.md has no\n%s", want)
	}
}

// A yaml reads the part of YAML that the manual uses: maps, lists and scalars, each on a
// line of its own.
type yaml struct {
	t     *testing.T
	lines []string
}

// mapLine matches a line of a map.
var mapLine = regexp.MustCompile(`^ *([A-Za-z_]+):(?: (\S.*))?$`)

// value reads what is indented by at least indent: a map[string]any, an []any, or a scalar.
func (y *yaml) value(indent int) any {
	at := y.indent()
	switch {
	case at < indent:
		return nil
	case strings.HasPrefix(y.lines[0][at:], "- "):
		var list []any
		for y.indent() == at && strings.HasPrefix(y.lines[0][at:], "- ") {
			y.lines[0] = strings.Repeat(" ", at+2) + y.lines[0][at+2:]
			list = append(list, y.value(at+2))
		}
		return list
	case !mapLine.MatchString(y.lines[0]):
		scalar := y.lines[0][at:]
		y.lines = y.lines[1:]
		return y.scalar(scalar)
	}
	values := map[string]any{}
	for y.indent() == at {
		m := mapLine.FindStringSubmatch(y.lines[0])
		if m == nil || values[m[1]] != nil {
			y.t.Fatalf("no line of a map: %q", y.lines[0])
		}
		y.lines = y.lines[1:]
		if values[m[1]] = y.scalar(m[2]); m[2] == "" {
			values[m[1]] = y.value(at + 1)
		}
	}
	return values
}

// indent returns the number of spaces that the next line begins with; -1: there is none.
func (y *yaml) indent() int {
	if len(y.lines) == 0 {
		return -1
	}
	return len(y.lines[0]) - len(strings.TrimLeft(y.lines[0], " "))
}

// scalar returns a string, a number, or what YAML 1.1 takes for a truth value.
func (y *yaml) scalar(text string) any {
	if strings.ContainsAny(text[:min(1, len(text))], "'[{&*!|>%@`#") || strings.Contains(text, ": ") || strings.Contains(text, " #") {
		y.t.Fatalf("not of the YAML that this test reads: %q", text)
	}
	if quoted, err := strconv.Unquote(text); err == nil {
		return quoted
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n
	}
	switch strings.ToLower(text) {
	case "on", "yes", "true":
		return true
	case "off", "no", "false":
		return false
	}
	return text
}

// document reads a block of the manual.
func document(t *testing.T, name string) map[string]any {
	t.Helper()
	y := &yaml{t, snippet(t, name)}
	values, ok := y.value(0).(map[string]any)
	if len(y.lines) > 0 || !ok {
		t.Fatalf("%s: not read: %q", name, y.lines)
	}
	return values
}

// in returns what a path of keys and indices leads to.
func in[T any](t *testing.T, value any, path ...any) T {
	t.Helper()
	for _, step := range path {
		switch at := value.(type) {
		case map[string]any:
			value = at[step.(string)]
		case []any:
			value = at[step.(int)]
		default:
			t.Fatalf("nothing at %v of %v", step, path)
		}
	}
	result, ok := value.(T)
	if !ok {
		t.Fatalf("%v: %#v", path, value)
	}
	return result
}

// checkVariables holds that the variables make an account, whose password is a file at
// secretFile and whose queue is queue.
func checkVariables(t *testing.T, variables map[string]any, secretFile, queue string) {
	t.Helper()
	var environ []string
	for name, value := range variables {
		environ = append(environ, fmt.Sprint(name, "=", value))
		in[string](t, value) // a number or a truth value would not be a variable
	}
	if unread := Unread(environ); len(unread) > 0 {
		t.Error(unread)
	}
	env := Environment(func(name string) string {
		value, _ := variables[name].(string)
		return value
	})
	c := new(Config)
	if err := c.Settle(env, ""); err != nil || c.Queue != queue || c.Runner != "on" {
		t.Errorf("%v; the queue is %q, want %q; the runner is %q", err, c.Queue, queue, c.Runner)
	}
	a, _, err := c.Choose(Choice{Environment: env})
	if err != nil {
		t.Fatal(err)
	}
	if got := secret.Texts(a.Secret); !slices.Equal(got, []string{"file:" + secretFile}) {
		t.Errorf("the secret is %q, want %s", got, secretFile)
	}
}

// TestManualCompose: the file system of the container is read-only, and its variables name
// the secret and the volume that it has.
func TestManualCompose(t *testing.T) {
	all := document(t, "compose")
	service := in[map[string]any](t, all, "services", "web")
	if !in[bool](t, service, "read_only") {
		t.Error("the root file system is not read-only")
	}
	name := in[string](t, service, "secrets", 0)
	in[string](t, all, "secrets", name, "file")
	volume, folder, _ := strings.Cut(in[string](t, service, "volumes", 0), ":")
	if _, ok := in[map[string]any](t, all, "volumes")[volume]; !ok {
		t.Errorf("there is no volume %s", volume)
	}
	checkVariables(t, in[map[string]any](t, service, "environment"), "/run/secrets/"+name, folder)
}

// TestManualKubernetes: as above. The user can read the secret by its group, and makes the
// folder of the queue in a volume of root's.
func TestManualKubernetes(t *testing.T) {
	spec := in[map[string]any](t, document(t, "kubernetes"), "spec")
	if in[int64](t, spec, "securityContext", "fsGroup") != in[int64](t, spec, "securityContext", "runAsGroup") {
		t.Error("the user is not in the group of the volumes")
	}
	container := in[map[string]any](t, spec, "containers", 0)
	if !in[bool](t, container, "securityContext", "readOnlyRootFilesystem") {
		t.Error("the root file system is not read-only")
	}
	variables := map[string]any{}
	for _, v := range in[[]any](t, container, "env") {
		variables[in[string](t, v, "name")] = in[string](t, v, "value")
	}
	mounts := map[string]string{}
	for _, m := range in[[]any](t, container, "volumeMounts") {
		mounts[in[string](t, m, "name")] = in[string](t, m, "mountPath")
	}
	volumes := in[[]any](t, spec, "volumes")
	for _, v := range volumes {
		if mounts[in[string](t, v, "name")] == "" {
			t.Errorf("%v is not mounted", v)
		}
	}
	if len(mounts) != len(volumes) {
		t.Errorf("%v are mounted", mounts)
	}
	if mode := in[int64](t, volumes, 0, "secret", "defaultMode"); mode != 0o440 {
		t.Errorf("the mode of the secret is %o", mode)
	}
	checkVariables(t, variables, mounts["secret"]+"/password", mounts["queue"]+"/sendoff")
}

// TestManualDockerfiles: six lines each, with the instructions of Docker, and with the user
// of the other examples.
func TestManualDockerfiles(t *testing.T) {
	user := in[int64](t, document(t, "kubernetes"), "spec", "securityContext", "runAsUser")
	for _, name := range []string{"dockerfile-scratch", "dockerfile-debian"} {
		lines := snippet(t, name)
		if len(lines) != 6 || !strings.HasPrefix(lines[0], "FROM ") || !slices.Contains(lines, fmt.Sprintf("USER %d:%[1]d", user)) {
			t.Errorf("%s: %q", name, lines)
		}
		for _, line := range lines {
			instruction, rest, _ := strings.Cut(line, " ")
			words := strings.Fields(rest)
			switch instruction {
			case "FROM", "RUN", "USER":
			case "COPY":
				if !strings.HasPrefix(words[len(words)-1], "/") {
					t.Errorf("%s: a relative path: %s", name, line)
				}
			case "ENTRYPOINT":
				if err := json.Unmarshal([]byte(rest), &words); err != nil {
					t.Errorf("%s: %s: %v", name, line, err)
				}
			default:
				t.Errorf("%s: no instruction: %s", name, line)
			}
		}
	}
	if names := slices.Sorted(maps.Keys(document(t, "compose"))); !slices.Equal(names, []string{"secrets", "services", "volumes"}) {
		t.Error(names)
	}
}
