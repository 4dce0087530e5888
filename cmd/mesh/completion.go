package main

import "github.com/spf13/cobra"

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
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(e.stdout, true)
			case "zsh":
				return root.GenZshCompletion(e.stdout)
			case "fish":
				return root.GenFishCompletion(e.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(e.stdout)
			}
			what := "no completion for shell " + args[0]
			if near := closest(args[0], shells); near != "" {
				what += "; did you mean " + near + "?"
			}
			return usageError(c, what, "there is one for "+orList(shells))
		},
	}
}
