// Package doctor finds out what is wrong with a node and says what to do about it. A check has a stable id,
// a deadline and the checks it needs; a run goes through the groups in order, runs the checks of a group
// side by side, hands every result on as soon as it is there, and marks what cannot be found out as skipped.
//
// The checks of this package look at what they are handed: the status and peers of a node, its logs, the
// machine. What needs the configuration, the network or a cluster comes in as a function, so that the
// same run works inside a node, where everything is at hand, and beside one that does not answer.
package doctor

//go:generate go test -vet=off -count=1 -run ^(TestChecksPage)$ . -update
