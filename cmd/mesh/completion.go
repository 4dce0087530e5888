package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// shells lists those there is a completion script for, and what a file with it is called in a release.
func shells() []meaning {
	return []meaning{{"bash", "mesh.bash"}, {"zsh", "_mesh"}, {"fish", "mesh.fish"}, {"powershell", "mesh.ps1"}}
}

func newCompletionCmd(e *env) *cobra.Command {
	var names []string
	for _, s := range shells() {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Example: "  mesh completion bash > /etc/bash_completion.d/mesh\n" +
			"  mesh completion zsh > \"${fpath[1]}/_mesh\"\n" +
			"  mesh completion fish > ~/.config/fish/completions/mesh.fish",
		Long: "In a running bash, source <(mesh completion bash) does it at once. The scripts ask mesh itself what there is to " +
			"complete, so that they fit every version: commands, flags and their values, and what the node knows where one " +
			"answers within a second, such as zones, peers, objects and invites.",
		Annotations:       map[string]string{annotationExits: "0 2"},
		Args:              takesArgs(1, 1),
		ValidArgsFunction: only(1, completeValues(names...)),
		RunE: func(c *cobra.Command, args []string) error {
			script, err := completionScript(c.Root(), args[0])
			if errors.Is(err, errUnknownShell) {
				return usageError(c, fmt.Sprintf("no completion for shell %q", args[0])+didYouMean(args[0], names), "there is one for "+orList(names))
			}
			if err != nil {
				return err
			}
			return e.write(script)
		},
	}
}

var errUnknownShell = errors.New("unknown shell")

// completionScript is the script for a shell.
func completionScript(root *cobra.Command, shell string) ([]byte, error) {
	var b bytes.Buffer
	var err error
	switch shell {
	case "bash":
		if err = root.GenBashCompletionV2(&b, true); err != nil {
			return nil, err
		}
		return withoutPackage(b.String(), root.Name())
	case "zsh":
		err = root.GenZshCompletion(&b)
	case "fish":
		err = root.GenFishCompletion(&b, true)
	case "powershell":
		err = root.GenPowerShellCompletionWithDesc(&b)
	default:
		return nil, errUnknownShell
	}
	return b.Bytes(), err
}

// wordsOfBash takes the words of the line apart where the bash-completion package, which does it better, is not
// installed. It puts together again what bash breaks at colons and equals signs.
const wordsOfBash = `__%[1]s_words()
{
    local line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    if [[ $line == *[[:space:]] ]]; then
        words+=("")
    fi
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword > 0 ? cword - 1 : 0]}
}

`

// withoutPackage makes a script for bash work where the bash-completion package is not installed, too.
func withoutPackage(script, name string) ([]byte, error) {
	const call = `    _get_comp_words_by_ref "$@" cur prev words cword
`
	head := "__" + name + "_init_completion()\n"
	if strings.Count(script, call) != 1 || strings.Count(script, head) != 1 {
		return nil, errors.New("the script for bash is not the one that is known")
	}
	script = strings.Replace(script, head, fmt.Sprintf(wordsOfBash, name)+head, 1)
	script = strings.Replace(script, call, "    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then\n    "+call+
		"    else\n        __"+name+"_words\n    fi\n", 1)
	return []byte(script), nil
}
