// Package config reads what a node is told: a YAML file, environment variables and flags, over defaults.
//
// It is strict, because a typo in a configuration that is silently ignored shows up as lost data later.
// Unknown and duplicate keys, wrong types and bad values are errors, all reported at once with line, column
// and the line itself. One table (table.go) lists every key with its meaning and how it is read and printed;
// the reader, --print-config, config.example.yaml, docs/configuration.md and the comparison for a reload all
// follow that table, so they cannot drift apart.
//
// Order of precedence: flag, environment, file, default. A list given in a higher layer replaces the one
// below it; only peers given by flag are added to the configured nodes. A value of a lower layer is checked
// even where a higher one replaces it.
//
// YAML anchors, aliases and merge keys are refused: no configuration needs them, and a file of a few lines
// can expand to gigabytes with them. An empty value (null) means that the key is not given.
//
// The package reads one file and nothing else. It opens no key file and no log; whether a log filter is valid
// is told to it by a function.
package config

//go:generate go test -vet=off -count=1 -run ^(TestExampleIsInStep|TestDocumentedTableIsInStep)$ . -update
