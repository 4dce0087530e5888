package logging

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/typo"
)

// Levels beyond those of slog. LevelOff is above every level a record can have.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelOff   = slog.Level(math.MaxInt32)
)

// Target says which part of the program speaks. Only these and, below Libp2p, the names of its subsystems
// can be named in a filter.
type Target string

// The targets. A new part of the program adds its name here and to the list below.
const (
	Mesh   Target = "mesh"        // the node as a whole: start, stop, configuration
	Net    Target = "mesh.net"    // connections, gossip, presence
	Join   Target = "mesh.join"   // who is admitted, and who is not
	Sync   Target = "mesh.sync"   // log sync with peers
	Merge  Target = "mesh.merge"  // what became of claims: conflicts, held deletions
	Log    Target = "mesh.log"    // operations, logs and their store
	Folder Target = "mesh.folder" // manifests read and written
	Kube   Target = "mesh.kube"   // the Kubernetes cluster: watches, writes, the lease
	HTTP   Target = "mesh.http"   // health, metrics and the local API
	Libp2p Target = "libp2p"      // go-libp2p, with its subsystem below: libp2p.swarm2
	Quic   Target = "quic"        // quic-go

	ClientGo Target = "client-go" // the client of Kubernetes

	Go Target = "go" // whatever uses the standard library's loggers
)

var targets = []Target{Mesh, Net, Join, Sync, Merge, Log, Folder, Kube, HTTP, Libp2p, Quic, ClientGo, Go}

var levelNames = []string{"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}

// DefaultFilter is the filter of a node that was told nothing.
const DefaultFilter = "INFO"

// Limits of a filter, far above what anybody types.
const (
	maxFilterBytes   = 4096
	maxFilterEntries = 64
)

// quiet holds what is noise in libp2p at the level its neighbours have: identify warns about every
// short-lived connection, and a host that cannot start returns the errors that p2p-config logs. It counts
// only where no entry of the filter covers these targets.
var quiet = []rule{
	{"libp2p.net.identify", slog.LevelError},
	{"libp2p.p2p-config", LevelOff},
}

// Filter gives a level to every target. Its zero value lets everything of level INFO and above through. It
// is immutable.
type Filter struct {
	text  string
	rules []rule // longest target first
	rest  slog.Level
}

type rule struct {
	target string
	level  slog.Level
}

// covers reports whether a record of target t falls under the rule: the same name or one below it.
func (r rule) covers(t string) bool {
	return strings.HasPrefix(t, r.target) && (len(t) == len(r.target) || t[len(r.target)] == '.')
}

// FilterError says what is wrong with a filter. Suggestion is what was probably meant, or empty.
type FilterError struct {
	Entry      string // the entry as written
	Reason     string
	Suggestion string
}

func (e *FilterError) Error() string {
	s := "log filter: " + e.Reason
	if e.Suggestion != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return s
}

// ParseFilter reads the grammar of the package doc. The empty string is DefaultFilter. The error is a
// *FilterError.
func ParseFilter(s string) (Filter, error) {
	if strings.TrimSpace(s) == "" {
		s = DefaultFilter
	}
	if len(s) > maxFilterBytes {
		return Filter{}, &FilterError{Reason: fmt.Sprintf("%d bytes long, at most %d are read", len(s), maxFilterBytes)}
	}
	entries := strings.Split(s, ",")
	if len(entries) > maxFilterEntries {
		return Filter{}, &FilterError{Reason: fmt.Sprintf("%d entries, at most %d are read", len(entries), maxFilterEntries)}
	}
	var p parser
	for _, e := range entries {
		if err := p.entry(strings.TrimSpace(e)); err != nil {
			return Filter{}, err
		}
	}
	return p.filter(), nil
}

// parser gathers the entries of one filter.
type parser struct {
	plain, all *slog.Level // of LEVEL and =LEVEL
	rules      []rule
}

func (p *parser) entry(e string) error {
	target, name, named := strings.Cut(e, "=")
	if !named {
		target, name = "", e
	}
	target, name = strings.TrimSpace(target), strings.TrimSpace(name)
	if e == "" {
		return &FilterError{Entry: e, Reason: "an entry is empty; want LEVEL, =LEVEL or TARGET=LEVEL between commas"}
	}
	if target != "" {
		if err := knownTarget(e, target); err != nil {
			return err
		}
	}
	level, err := parseLevel(e, name)
	if err != nil {
		return err
	}
	switch {
	case target != "":
		if slices.ContainsFunc(p.rules, func(r rule) bool { return r.target == target }) {
			return &FilterError{Entry: e, Reason: fmt.Sprintf("%s is given twice", target)}
		}
		p.rules = append(p.rules, rule{target, level})
	case p.plain != nil || p.all != nil:
		return &FilterError{Entry: e, Reason: fmt.Sprintf("%q is a second level without a target", e)}
	case named:
		p.all = &level
	default:
		p.plain = &level
	}
	return nil
}

func (p *parser) filter() Filter {
	f := Filter{rest: slog.LevelWarn}
	explicit := slices.Clone(p.rules)
	mesh := slog.LevelInfo
	switch {
	case p.all != nil:
		f.rest, mesh = *p.all, *p.all
	case p.plain != nil:
		f.rest, mesh = max(*p.plain, slog.LevelWarn), *p.plain
	}
	f.rules = explicit
	if !slices.ContainsFunc(explicit, func(r rule) bool { return r.target == string(Mesh) }) {
		f.rules = append(f.rules, rule{string(Mesh), mesh})
	}
	for _, q := range quiet {
		covered := slices.ContainsFunc(explicit, func(r rule) bool { return r.covers(q.target) })
		if p.all == nil && !covered && q.level > f.rest {
			f.rules = append(f.rules, q)
		}
	}
	slices.SortFunc(f.rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(len(b.target), len(a.target)), strings.Compare(a.target, b.target))
	})
	f.text = p.text()
	return f
}

// text renders what was asked for, in one spelling.
func (p *parser) text() string {
	var out []string
	switch {
	case p.all != nil:
		out = append(out, "="+LevelName(*p.all))
	case p.plain != nil:
		out = append(out, LevelName(*p.plain))
	}
	for _, r := range p.rules {
		out = append(out, r.target+"="+LevelName(r.level))
	}
	return strings.Join(out, ",")
}

// Level returns the lowest level at which records of the target pass.
func (f Filter) Level(t Target) slog.Level {
	for _, r := range f.rules {
		if r.covers(string(t)) {
			return r.level
		}
	}
	return f.rest
}

// String returns the filter in the grammar it was read from, with levels in upper case.
func (f Filter) String() string { return cmp.Or(f.text, DefaultFilter) }

// LevelName returns the name of the level that l falls under. A record never has the level OFF.
func LevelName(l slog.Level) string {
	switch {
	case l >= LevelOff:
		return "OFF"
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARN"
	case l >= slog.LevelInfo:
		return "INFO"
	case l >= slog.LevelDebug:
		return "DEBUG"
	default:
		return "TRACE"
	}
}

func parseLevel(entry, name string) (slog.Level, error) {
	levels := []slog.Level{LevelOff, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, LevelTrace}
	for i, n := range levelNames {
		if strings.EqualFold(n, name) {
			return levels[i], nil
		}
	}
	return 0, &FilterError{
		Entry:      entry,
		Reason:     fmt.Sprintf("%q is no level; want %s", clip(name), strings.Join(levelNames, ", ")),
		Suggestion: suggestLevel(name),
	}
}

// suggestLevel names the level that was probably meant: one that the word begins with, as WARNING does, or a near
// one.
func suggestLevel(name string) string {
	for _, n := range levelNames {
		if strings.HasPrefix(strings.ToUpper(name), n) {
			return n
		}
	}
	return typo.Closest(name, levelNames)
}

func knownTarget(entry, target string) error {
	names := make([]string, len(targets))
	for i, t := range targets {
		if string(t) == target {
			return nil
		}
		names[i] = string(t)
	}
	if sub, ok := strings.CutPrefix(target, string(Libp2p)+"."); ok && isSubsystem(sub) {
		return nil
	}
	return &FilterError{
		Entry:      entry,
		Reason:     fmt.Sprintf("%q is no target; want one of %s", clip(target), strings.Join(names, ", ")),
		Suggestion: typo.Closest(target, names),
	}
}

// isSubsystem reports whether s can be the name of a libp2p subsystem as subsystem writes it.
func isSubsystem(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// clip shortens what is quoted in an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
