package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
)

// A real bash completes with the script, with and without the bash-completion package, and so do zsh and fish where
// they are installed.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	socket := admin.SocketPath(serveFake(t, completingNode(t)))
	for _, tt := range []struct{ line, want string }{
		{"mesh key", "keygen"},
		{"mesh peers describe w", "west"},
		{"mesh peers describe ", "lab south west peer-20828bf5"},
		{"mesh log show --type snap", "snapshot"},
		{"mesh adopt Name", "Namespace/team"},
		{"mesh adopt ConfigMap/default/", "ConfigMap/default/app ConfigMap/default/own"},
		{"mesh invite revoke k", "k7q2m9xd"},
		{"mesh status --col", "--color"},
		{"mesh --color=al", "always"},
		{"mesh keygen --public no", "notes.key"},
	} {
		for name, complete := range map[string]func(*testing.T, string, string) (string, bool){
			"bash": bareBash, "bash with bash-completion": packagedBash, "fish": fish,
		} {
			for deadline := time.Now().Add(pollFor); ; { // the program itself waits a second for the node
				got, ran := complete(t, socket, tt.line)
				if !ran || sorted(got) == sorted(tt.want) || sorted(got) == "--color="+sorted(tt.want) {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%s: %s<TAB> = %q, want %q", name, tt.line, got, tt.want)
					break
				}
			}
		}
	}
	zsh(t)
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// shell runs a script in a folder of its own with a key file to be found, and the node's address set.
func shell(t *testing.T, socket, script string, command ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], append(command[1:], script)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MESH_NODE=unix:"+socket, "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %v: %s", command, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// pressTab is what bash does when Tab is pressed behind $line: it breaks it at white space, = and :, and calls the
// function that the script registered; where that hands nothing back, file names are completed.
const pressTab = `
COLUMNS=80
source <(mesh completion bash)
[[ $(complete -p mesh) == "complete -o default -F __start_mesh mesh" ]] || { complete -p mesh; exit 1; }
COMP_LINE=$line; COMP_POINT=${#line}; COMP_TYPE=9; COMP_KEY=9
broken=${line//=/ = }; broken=${broken//:/ : }
read -ra COMP_WORDS <<<"$broken"
[[ $broken == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
__start_mesh
((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
for reply in "${COMPREPLY[@]}"; do echo "${reply%% *}"; done
`

func bareBash(t *testing.T, socket, line string) (string, bool) {
	return shell(t, socket, "line="+shellQuote(line)+pressTab, "bash", "--norc", "-c"), true
}

// packagedBash stands for the bash-completion package by the one function of it that is used.
func packagedBash(t *testing.T, socket, line string) (string, bool) {
	const function = `
_get_comp_words_by_ref() {
    [[ "$1 $2 $3" == "-n =: cur" || "$1 $2 $3" == "-n =: -n" || $1 == -n ]] || exit 1
    read -ra words <<<"$COMP_LINE"
    [[ $COMP_LINE == *' ' ]] && words+=("")
    cword=$((${#words[@]} - 1)); cur=${words[cword]}; prev=${words[cword-1]}
    return 0
}
`
	return shell(t, socket, "line="+shellQuote(line)+function+pressTab, "bash", "--norc", "-c"), true
}

func fish(t *testing.T, socket, line string) (string, bool) {
	if _, err := exec.LookPath("fish"); err != nil {
		return "", false
	}
	out := shell(t, socket, "mesh completion fish | source; complete --do-complete "+shellQuote(line), "fish", "--no-config", "-c")
	var words []string
	for l := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
		words = append(words, word)
	}
	return strings.Join(words, " "), true
}

// zsh has no way to press Tab without a terminal: it reads the script, which registers itself.
func zsh(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		return
	}
	const script = "compdef() { echo $@ }; source <(mesh completion zsh); whence -w _mesh"
	if out := shell(t, "", script, "zsh", "-f", "-c"); !strings.Contains(out, "_mesh mesh") || !strings.Contains(out, "_mesh: function") {
		t.Errorf("zsh: %s", out)
	}
}
