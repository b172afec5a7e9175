// Package literals has the strings of the program's source, for tests of texts that people
// see. Only tests import it; it imports nothing of the program, so that every test can.
package literals

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// A Literal is a string in the source, and its place, as FILE:LINE:COLUMN.
type Literal struct{ At, Text string }

// All returns the strings of all Go files in root and the folders below it, except tests.
func All(root string) (all []Literal, err error) {
	files := token.NewFileSet()
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if b, ok := n.(*ast.BasicLit); ok && b.Kind == token.STRING {
				text, _ := strconv.Unquote(b.Value) // the parser has read it
				all = append(all, Literal{files.Position(b.Pos()).String(), text})
			}
			return true
		})
		return nil
	})
	return all, err
}
