// Package bench holds no code of the program: its tests, with the build tag
// bench, measure the program beside its peers; see table_test.go and .ci/bench.
package bench
