package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"
)

func newCompletionCmd(e *env) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Example: "  mesh completion bash > /etc/bash_completion.d/mesh\n" +
			"  mesh completion zsh > \"${fpath[1]}/_mesh\"\n" +
			"  mesh completion fish > ~/.config/fish/completions/mesh.fish",
		Annotations:       map[string]string{annotationExits: "0 2"},
		Args:              takesArgs(1, 1),
		ValidArgsFunction: completeValues(shells...),
		RunE: func(c *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			switch root := c.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			default:
				return unknownShell(c, args[0], shells)
			}
			if err != nil {
				return err
			}
			return e.write(b.Bytes())
		},
	}
}

func unknownShell(c *cobra.Command, name string, shells []string) error {
	return usageError(c, fmt.Sprintf("no completion for shell %q", name)+didYouMean(name, shells), "there is one for "+orList(shells))
}
