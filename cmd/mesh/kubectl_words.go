package main

import (
	"regexp"
	"strings"
)

// name is how the program was called, as it stands in front of a command.
func (e *env) name() string {
	if e.plugin {
		return pluginName
	}
	return plainName
}

// commandInText finds commands in prose that work on the node that was asked, or on none. Those that are for another
// machine (run, join, keygen) are left out: they are called as mesh there.
var commandInText = regexp.MustCompile(`(^|[^\w./-])(kubectl )?mesh (adopt|completion|crd|doctor|help|invite|log|peers|status|tui|version|COMMAND)\b`)

// forElsewhere ends the words in front of a command that is for another machine.
var forElsewhere = regexp.MustCompile(`(machine|run): $`)

// asCalled rewrites the commands in a text to the name that the program was called by, and to the cluster that was
// chosen: what is printed can be run as it is.
func (e *env) asCalled(text string) string {
	return e.rewrite(text, e.name()+e.chosen())
}

// asNamed is asCalled for texts that are not about the cluster that was chosen, such as help.
func (e *env) asNamed(text string) string { return e.rewrite(text, e.name()) }

func (e *env) rewrite(text, prefix string) string {
	if prefix == plainName {
		return text
	}
	var b strings.Builder
	last := 0
	for _, m := range commandInText.FindAllStringSubmatchIndex(text, -1) {
		start := m[3] // behind what stands in front
		if m[4] >= 0 || forElsewhere.MatchString(text[:start]) {
			continue
		}
		to := prefix
		if word := text[m[6]:m[7]]; word == "help" || word == "version" || word == "completion" {
			to = e.name()
		}
		b.WriteString(text[last:start])
		b.WriteString(to)
		last = start + len(plainName)
	}
	b.WriteString(text[last:])
	return b.String()
}

// chosen repeats the flags that say which cluster and namespace.
func (e *env) chosen() string {
	k := &e.kube
	if k.set == nil {
		return ""
	}
	s := ""
	for _, name := range []string{"kube", "kubeconfig", "context", "namespace"} {
		f := k.set.Lookup(name)
		switch {
		case !f.Changed:
		case name == "kube":
			s += " --kube"
		case f.Shorthand != "":
			s += " -" + f.Shorthand + " " + shellQuote(f.Value.String())
		default:
			s += " --" + f.Name + " " + shellQuote(f.Value.String())
		}
	}
	return s
}
