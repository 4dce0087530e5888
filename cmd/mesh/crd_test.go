package main

import (
	"bytes"
	"os"
	"testing"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
)

func TestCRDIsPrinted(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if code := te.mesh(t, "crd"); code != 0 || te.stderr.Len() != 0 {
		t.Fatalf("exit code %d: %s", code, te.stderr.String())
	}
	if !bytes.Equal(te.stdout.Bytes(), meshpeer.CRD()) {
		t.Errorf("mesh crd prints\n%s", te.stdout.String())
	}
}

// The chart's definition is the binary's; run this test with -update to write it.
func TestChartHasTheCRD(t *testing.T) {
	t.Parallel()
	const file = "../../charts/mesh-controller/files/meshpeers.yaml"
	if *update {
		if err := os.WriteFile(file, meshpeer.CRD(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, meshpeer.CRD()) {
		t.Errorf("%s is not the definition in the binary; run: go test ./cmd/mesh -run TestChartHasTheCRD -update", file)
	}
}
