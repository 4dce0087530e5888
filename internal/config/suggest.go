package config

import (
	"strings"

	"dcp.hiro.io/mesh/internal/typo"
)

// suggestKey names the key that was probably meant: a similar one of the same section, or one of that very
// name in another.
func (l *loader) suggestKey(name string, known []string) string {
	if l.full() {
		return ""
	}
	if s := typo.Closest(name, known); s != "" {
		return s
	}
	for _, k := range known { // the unit was left out: window for window_seconds
		if strings.HasPrefix(k, name+"_") {
			return k
		}
	}
	for _, k := range l.table {
		if k.HasValue() && strings.HasSuffix(k.Path, "."+name) {
			return k.Path
		}
	}
	return ""
}
