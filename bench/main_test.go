package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	const in = `goos: linux
BenchmarkAppend-2         	    4406	    250 ns/op	       300.0 µs/append	         1.500 x-bare
BenchmarkAppendBatch-2    	      10	    250 ns/op	     40000 ops/s
BenchmarkSyncIngest-16    	      10	    250 ns/op	     30000 ops/s
BenchmarkVerifyAllCores-16	      10	    250 ns/op	     40000 ops/s	0 B/op
ok  	somewhere	1.0s
`
	var out strings.Builder
	if err := run(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	table, ok := strings.CutPrefix(out.String(), in)
	if !ok {
		t.Fatalf("the input is not passed on:\n%s", out.String())
	}
	for _, want := range []string{
		"append one at a time, against a bare bbolt commit 1.5 x <= 1.2 x 1.25 NOT MET",
		"append, batched 40000 ops/s >= 20000 ops/s 2.00 met",
		"the same with stores in memory, in one process 0.75 x >= 0.7 x 1.07 met",
		"memory per object - <= 1536 B - not measured",
	} {
		if !strings.Contains(strings.Join(strings.Fields(table), " "), want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}
