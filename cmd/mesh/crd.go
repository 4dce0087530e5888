package main

import (
	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
)

// newCRDCmd prints what an administrator installs where neither mesh nor the chart may.
func newCRDCmd(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "crd",
		Short: "Print the definition of the MeshPeer resource",
		Long: "The definition is installed by mesh run, where it may, and by the Helm chart. This prints it as YAML for " +
			"whoever installs it by hand.",
		Example: "  mesh crd\n" +
			"  mesh crd > meshpeers.yaml      then: kubectl apply --server-side -f meshpeers.yaml",
		Annotations: map[string]string{annotationExits: "0 1 2"},
		RunE: func(*cobra.Command, []string) error {
			return e.write(meshpeer.CRD())
		},
	}
}
