// Command build builds what the tests against Kubernetes run, ahead of them, so that it doesn't take a test's time.
package main

import (
	"fmt"
	"os"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

func main() {
	for _, name := range kubetest.Tools() {
		if _, err := kubetest.Build(os.Stdout, name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
