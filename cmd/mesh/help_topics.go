package main

import (
	"fmt"
	"strings"
)

// helpTopic is one page of `mesh help TOPIC`.
type helpTopic struct {
	name string
	text func() string
}

func helpTopics() []helpTopic {
	return []helpTopic{
		{"environment", environmentTopic},
		{"exit-codes", exitCodesTopic},
		{"config", configTopic},
		{"log-filter", logFilterTopic},
		{"output", outputTopic},
		{"kube", kubeTopic},
		{"checks", checksTopic},
	}
}

// meaning is one line of a two-column page.
type meaning struct{ name, meaning string }

// environmentVariables lists every variable that mesh reads, beside MESH_<KEY> for the keys of the config.
func environmentVariables() []meaning {
	return []meaning{
		{"CLICOLOR_FORCE", "colour the output even where it is no terminal"},
		{"COLORFGBG", "tells mesh tui whether the terminal is light"},
		{"COLORTERM", "truecolor lets mesh tui use all colours"},
		{"KUBECONFIG", "the kubeconfig file, instead of ~/.kube/config"},
		{"KUBERNETES_SERVICE_HOST", "set in pods: the group may read the key file there"},
		{"LANG", "or LC_ALL, LC_CTYPE: UTF-8 lets mesh tui draw lines"},
		{"MESH_CONFIG", "the config file, unless --config names one"},
		{"MESH_NODE", "the node to ask, unless --node names one"},
		{"NO_COLOR", "print without colour"},
		{"POD_NAME", "the pod to mark while it leads"},
		{"PRIVATE_KEY", "the node's key itself, as hex or PEM"},
		{"TERM", "dumb means no colour and no screen of its own"},
		{"XDG_CONFIG_HOME", "where mesh/config.yaml is looked for last"},
	}
}

// exitCodes lists what the exit codes mean.
func exitCodes() []meaning {
	return []meaning{
		{"0", "done"},
		{"1", "failed"},
		{"2", "the command line, config or key is invalid; nothing was attempted"},
		{"3", "the node or cluster cannot be reached"},
		{"4", "a check found a fault"},
		{"5", "the deadline passed"},
		{"6", "refused: a file exists, a token is rejected, or it is not allowed"},
		{"130", "interrupted"},
	}
}

func columns(lines []meaning) string {
	width := 0
	for _, l := range lines {
		width = max(width, len(l.name))
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "  %-*s   %s\n", width, l.name, l.meaning)
	}
	return b.String()
}

func environmentTopic() string {
	return "environment\n\n" + columns(environmentVariables()) + `
Every key of the config can be set by a variable: MESH_ and the key in capitals, with two underscores per level.
  MESH_LOG_LEVEL=mesh=DEBUG     log_level
  MESH_MESH__ZONE=east          mesh.zone

A flag beats a variable, a variable beats the file. PRIVATE_KEY beats private_key_path of the file. An unknown variable that begins with MESH_ gives one warning and is never an error; MESH_SERVICE_* and MESH_PORT*, which Kubernetes sets for a Service named mesh, are ignored.`
}

func exitCodesTopic() string {
	return "exit codes\n\n" + columns(exitCodes()) + `
Every error carries a code such as MESH-6001 whose first digit is the exit code. mesh help MESH-6001 explains it.`
}

func configTopic() string {
	return `config

Where a value comes from, the first that has it: flag, environment, file, default. The file is the first of these:
  --config FILE
  $MESH_CONFIG
  ./config.yaml
  $XDG_CONFIG_HOME/mesh/config.yaml

It is YAML. Unknown or duplicate keys, wrong types and bad values are errors, all listed at once with line and column. The repository's config.example.yaml describes every key.
  mesh run --check-config    say what is wrong and exit
  mesh run --print-config    show every value with its origin, secrets masked`
}

func logFilterTopic() string {
	return `log filter

log_level (flag -l) says what is logged:
  INFO                       mesh at INFO, everything else at WARN
  =TRACE                     everything at TRACE
  mesh=DEBUG,libp2p=WARN     each target at its level; others at WARN

Levels, in any case: OFF ERROR WARN INFO DEBUG TRACE. Targets are dotted and the longest prefix wins. There are mesh.net, mesh.join, mesh.sync, mesh.merge, mesh.kube, mesh.log, mesh.http, libp2p and quic.`
}

func outputTopic() string {
	return `output

Data goes to stdout, everything else to stderr. -q leaves out notes; warnings and errors stay.

Tables have one row per thing and no spaces inside a cell, so that awk reads them; "-" stands for no value. Piped output is never shortened or coloured. -o wide adds columns, -o name prints names alone, --no-headers leaves out the first line.

-o json and -o yaml print one document with apiVersion mesh.dcp.hiro.io/v1 and kind. Fields are only ever added. What has no value is null; times are RFC 3339 in UTC; durations are numbers with the unit in the name, such as rttSeconds. With -o json an error on stderr is {"error":{"code","message","cause","next","docs"}}. docs/schema has a JSON Schema for each kind.

Lists take the templates of kubectl too, applied to that document; what is asked for by one NAME is a document of its own, and with --watch so is each change, with -o json in one line:
  -o jsonpath='{.items[*].name}' or jsonpath-as-json=
  -o go-template='{{range .items}}{{.name}} {{end}}'
  -o custom-columns=NAME:.name,RTT:.rttSeconds
  -o jsonpath-file=FILE          or go-template-file=, custom-columns-file=
--sort-by takes the name of a column or a path such as .version; what has no value comes last.

Colour is used on a terminal only, unless NO_COLOR is set or TERM is dumb. CLICOLOR_FORCE turns it on, NO_COLOR beats it, and --color beats both. Nothing is said by colour alone.`
}
