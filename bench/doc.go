// Command bench runs the benchmarks and compares what they report with the budgets: `make bench`. It prints what they
// print and, at the end, a line per budget with the figure, the budget, their ratio and whether it is met, and how much
// else the machine had to do meanwhile.
//
//	go run ./bench                                 the benchmarks that have a budget
//	go run ./bench -bench 'Durable|Idle'           those that match
//	go run ./bench -bench . -benchtime 5s          all there are, longer
//	go run ./bench -write docs/benchmarks.md       and puts the table into the page
//
// A budget that is missed is no failure: machines differ. A benchmark that fails is one, and so is one that ran and did not
// report its figure: the exit code is 1 then.
//
// Competitors (the module bench/rivals) and floors are measured by the same benchmark as what is compared with them, in
// turns or one right after the other.
package main
