// Command bench reads the output of `go test -bench` and compares it with the budgets: `make bench` pipes one run
// through it. It prints what it reads and, at the end, a line per budget with the figure, the budget, their ratio
// and whether it is met. It judges nothing else: a slow machine is no failure.
package main
