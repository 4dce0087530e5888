package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Format is how a line looks.
type Format int

// The formats.
const (
	Text Format = iota
	JSON
)

// ParseFormat reads the value of log_format: text, json, or auto, which is text on a terminal and JSON
// elsewhere.
func ParseFormat(s string, terminal bool) (Format, error) {
	switch strings.ToLower(s) {
	case "text":
		return Text, nil
	case "json":
		return JSON, nil
	case "", "auto":
		if terminal {
			return Text, nil
		}
		return JSON, nil
	}
	return 0, fmt.Errorf("log format %q: want auto, text or json", s)
}

// Logs is the place where all log lines of a process go.
type Logs struct {
	format Format
	filter atomic.Pointer[Filter]

	mu  sync.Mutex // one line at a time
	out io.Writer

	recent recent
}

// New writes lines to w, one Write each. It never closes w.
func New(w io.Writer, format Format, filter Filter) *Logs {
	l := &Logs{format: format, out: w}
	l.filter.Store(&filter)
	return l
}

// SetFilter replaces the filter for all loggers, those already handed out too.
func (l *Logs) SetFilter(f Filter) { l.filter.Store(&f) }

// Filter returns the filter in force.
func (l *Logs) Filter() Filter { return *l.filter.Load() }

// For returns the logger of a target.
func (l *Logs) For(t Target) *slog.Logger { return slog.New(&handler{logs: l, target: t}) }

// handler is a slog.Handler for one target and the attributes bound so far.
type handler struct {
	logs   *Logs
	target Target
	group  string // "" or a prefix that ends with a dot
	bound  []field
	shim   bool // the attribute "logger" names a subsystem of the target
}

// field is an attribute flattened to its full name and rendered value.
type field struct {
	key   string
	value value
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.logs.filter.Load().Level(h.target)
}

// Handle implements slog.Handler. Its error is that of the writer.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	fields := make([]field, len(h.bound), len(h.bound)+r.NumAttrs())
	copy(fields, h.bound) // sorted below, while other records may use the bound ones
	r.Attrs(func(a slog.Attr) bool {
		fields = flatten(fields, h.group, a, 0)
		return len(fields) < maxFields
	})
	fields = inOrder(fields)
	line := make([]byte, 0, 256)
	if h.logs.format == JSON {
		line = appendJSON(line, r, h.target, fields)
	} else {
		line = appendText(line, r, h.target, fields)
	}
	h.logs.recent.add(r.Time, line)
	h.logs.mu.Lock()
	defer h.logs.mu.Unlock()
	_, err := h.logs.out.Write(line)
	return err
}

// inOrder sorts fields by key. Of several with one key the last, which is the innermost, stays.
func inOrder(fields []field) []field {
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	kept := fields[:0]
	for i, f := range fields {
		if i+1 == len(fields) || fields[i+1].key != f.key {
			kept = append(kept, f)
		}
	}
	return kept
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.bound = slices.Clip(h.bound)
	for _, a := range attrs {
		if h.shim && h.group == "" && a.Key == "logger" {
			next.target = subsystem(h.target, a.Value.String())
			continue
		}
		next.bound = flatten(next.bound, h.group, a, 0)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.group += name + "."
	return &next
}

// subsystem makes a target of a libp2p logger's name: net/identify becomes libp2p.net.identify.
func subsystem(parent Target, name string) Target {
	name = strings.ToLower(strings.ReplaceAll(name, "/", "."))
	if !isSubsystem(name) {
		return parent
	}
	return parent + "." + Target(name)
}

// flatten appends an attribute, or the members of a group under dotted names.
func flatten(to []field, group string, a slog.Attr, depth int) []field {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) || len(to) >= maxFields {
		return to
	}
	if v.Kind() != slog.KindGroup || depth == maxDepth {
		return append(to, field{group + a.Key, render(v)})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, m := range v.Group() {
		to = flatten(to, group, m, depth+1)
	}
	return to
}
