package program

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is the version that --version shows.
const release = "0.1"

// archived is the commit of a source archive: git archive writes it here (.gitattributes).
const archived = "$Format:%H$"

func (p *program) version(context.Context) error {
	from := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		from = commit(info.Settings, archived)
	}
	return p.print(fmt.Sprintf("sendoff %s (%s%s %s/%s)\n", release, from, runtime.Version(), runtime.GOOS, runtime.GOARCH))
}

// commit returns the commit that a program was built from, with a comma behind it: that
// of the checkout, which the go command puts among the settings, or else that of the
// archive. It returns "" if neither is known.
func commit(settings []debug.BuildSetting, archived string) string {
	id, modified := "", ""
	if !strings.HasPrefix(archived, "$") {
		id = archived
	}
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			id = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ", modified"
		}
	}
	if id == "" {
		return ""
	}
	return "commit " + id[:min(len(id), 12)] + modified + ", "
}
