// Mesh keeps clusters in sync peer to peer, with no central server.
//
// This package is the roof of the house: one file per command, the configuration, the wiring of the
// adapters and the exit codes. It is the only package that knows everyone.
//
// # How a command is built
//
// A constructor newXxxCmd(env) returns a *cobra.Command and is listed in commands.go. Its RunE reads its
// arguments, calls one function and prints one result value. It reaches the outside world only through the
// env it was given: the three streams, the clock, the environment, the working directory. Nothing is kept in
// package variables, so tests run many commands side by side in one process.
//
// # What a command prints
//
// Data goes to stdout and everything else to stderr. Notes (env.note) vanish with --quiet; warnings
// (env.warn) appear once each. A failure is a *cliError: what happened, why, what to run next, and a stable
// code whose first digit is the exit code. Any other error that reaches run counts as a defect of mesh and is
// reported as one; so commands turn what can be expected to fail into a cliError where they know the cause.
//
// # What is generated
//
// docs/cli, docs/schema, docs/errors.md, the man pages and the completion scripts follow from the tree of commands and
// the types that they print. go generate ./cmd/mesh writes them.
package main

//go:generate go test -vet=off -count=1 -run ^(TestGenerated|TestErrorsPage)$ . -update
