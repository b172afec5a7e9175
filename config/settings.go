package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2/unstable"

	"sendoff/submit/secret"
	"sendoff/submit/status"
)

// accountsTable is the table of the accounts; it is not a setting itself.
const accountsTable = "accounts"

// A table has named tables that contain settings.
type table struct {
	name, example string
	noun          string // what each of the tables is about
	settings      reflect.Type
}

// tables has all tables that contain tables.
var tables = [...]table{
	{accountsTable, "work", "account", reflect.TypeFor[Account]()},
	{oauth2Table, "google", "provider", reflect.TypeFor[OAuth2]()},
}

// tableOf returns the row of tables with this name; nil: there is none.
func tableOf(name string) *table {
	for i := range tables {
		if tables[i].name == name {
			return &tables[i]
		}
	}
	return nil
}

// fields returns the fields of t that are settings: those with a tag doc.
// The caller must not change them.
func fields(t reflect.Type) []reflect.StructField {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]reflect.StructField)
	}
	all := slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		return f.Tag.Get("doc") == ""
	})
	fieldsOf.Store(t, all)
	return all
}

// fieldsOf has what fields has returned for a type: a file with many accounts asks for
// every key.
var fieldsOf sync.Map

func lookup(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range fields(t) {
		if f.Tag.Get("toml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// A valueType says which TOML types a setting may have, in words and as kinds.
type valueType struct {
	words string
	kinds []unstable.Kind
}

// takes returns the TOML types for a field of type t.
func takes(t reflect.Type) valueType {
	switch reflect.Zero(t).Interface().(type) {
	case bool:
		return valueType{"true or false", []unstable.Kind{unstable.Bool}}
	case int:
		return valueType{"a whole number", []unstable.Kind{unstable.Integer}}
	case Size, Family:
		return valueType{"a whole number or a string", []unstable.Kind{unstable.Integer, unstable.String}}
	case List[Duration]:
		return valueType{"a list of strings", []unstable.Kind{unstable.Array}}
	case List[Server], List[Pattern], Fingerprints, List[secret.Ref], List[string]:
		return valueType{"a string or a list of strings", []unstable.Kind{unstable.String, unstable.Array}}
	}
	return valueType{"a string", []unstable.Kind{unstable.String}}
}

// kindWords returns the name of a TOML type that is wrong for a setting.
func kindWords(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer:
		return "a whole number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Array:
		return "a list"
	case unstable.Table, unstable.InlineTable, unstable.ArrayTable:
		return "a table"
	}
	return "a date or time"
}

// suggest returns a proposal for the unknown key name, which was found in t; "": no
// proposal.
func suggest(t reflect.Type, name string) string {
	top, account := reflect.TypeFor[Config](), reflect.TypeFor[Account]()
	if _, ok := lookup(account, name); ok && t == top {
		return "; it belongs in an account, below [accounts.NAME]"
	}
	if _, ok := lookup(top, name); ok && t != top {
		return "; it belongs at the top of the file, before the first [table]"
	}
	if words := advice(name); words != "" {
		return words
	}
	var known []string
	if t == top {
		for _, table := range tables {
			known = append(known, table.name)
		}
	}
	for _, f := range fields(t) {
		known = append(known, f.Tag.Get("toml"))
	}
	if near := status.Nearest(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// replacements says what to write instead of the settings of other programs, above all
// msmtp, and how to write values that are often wrong.
var replacements = map[string]string{
	"password":       "a password is not allowed here: see secret",
	"passwordeval":   `write secret = "command:…"`,
	"host":           `write server = "smtps://HOST"`,
	"port":           `write it in server, as in "smtps://HOST:465"`,
	"tls":            `choose it with server: "smtps://HOST" is TLS from the start, "smtp://HOST" is STARTTLS`,
	"tls-starttls":   `choose it with server: "smtps://HOST" is TLS from the start, "smtp://HOST" is STARTTLS`,
	"tls-trust-file": "write tls-ca",
	"tls-cert-file":  "write tls-cert",
	"tls-key-file":   "write tls-key",
	"tls-certcheck":  "certificates are always checked: see tls-ca and tls-fingerprint",
	"from-full-name": "write full-name",
	"source-ip":      "write source-address",
	"auth":           "without it any mechanism may be used",
	"timeout":        `write it with a unit, as in "30s"`,
}

// advice returns the text of replacements for name, for the end of an error.
func advice(name string) string {
	words := replacements[strings.ReplaceAll(strings.ToLower(name), "_", "-")]
	if words == "" {
		return ""
	}
	return "; " + words
}

// suggestTable returns a proposal for path, which is no table; "": no proposal.
func suggestTable(path []string) string {
	if path[0] != "account" {
		return ""
	}
	name := "NAME"
	if len(path) > 1 {
		name = path[1]
	}
	return "; did you mean [" + dotted([]string{accountsTable, name}) + "]?"
}
