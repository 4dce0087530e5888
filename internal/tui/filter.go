package tui

import (
	"slices"
	"strconv"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// maxFilter is the longest filter that can be typed, in bytes.
const maxFilter = 200

// filter is what people typed to see less. Terms are joined by and. A term that says nothing about a kind of rows
// leaves them alone.
type filter struct {
	text  string // as typed, blanks reduced
	terms []term
}

// term is one word of a filter.
type term struct {
	field  string   // zone, state, kind, version, lag, rtt; empty: plain text
	values []string // alternatives, in lower case
	above  float64  // of lag and rtt
	not    bool
}

// noticeKinds are the kinds of notices.
var noticeKinds = []string{string(mesh.NoticePeer), string(mesh.NoticeLink), string(mesh.NoticeSync), string(mesh.NoticeApply),
	string(mesh.NoticeMerge), string(mesh.NoticeSnap), string(mesh.NoticeKube), string(mesh.NoticeLog), string(mesh.NoticeJoin),
	string(mesh.NoticeDemo)}

// peerStates are the states of peers in lower case.
var peerStates = []string{"ready", "notready", "unknown", "unavailable", "notadmitted"}

// parseFilter reads a filter. Everything is one: what is no term is plain text.
func parseFilter(s string) filter {
	words := strings.Fields(readable.Text(s))
	f := filter{text: strings.Join(words, " ")}
	for _, w := range words {
		if t, ok := parseTerm(w); ok {
			f.terms = append(f.terms, t)
		}
	}
	return f
}

func parseTerm(w string) (term, bool) {
	var t term
	w = strings.ToLower(w)
	if rest, ok := strings.CutPrefix(w, "!"); ok {
		t.not, w = true, rest
	}
	for _, field := range []string{"lag", "rtt"} {
		if number, ok := strings.CutPrefix(w, field+">"); ok {
			if v, err := strconv.ParseFloat(strings.TrimSuffix(number, "ms"), 64); err == nil {
				t.field, t.above = field, v
				return t, true
			}
		}
	}
	for _, field := range []string{"zone", "state", "kind", "version"} {
		value, ok := strings.CutPrefix(w, field+"=")
		if !ok {
			if value, ok = strings.CutPrefix(w, field+"!="); ok {
				t.not = !t.not
			}
		}
		if ok {
			t.field = field
			t.values = slices.DeleteFunc(strings.Split(value, ","), func(v string) bool { return v == "" })
			return t, len(t.values) > 0 // zone= is a term that is still being typed
		}
	}
	t.values = []string{w}
	return t, w != ""
}

// verdict is what a term says about a row.
type verdict uint8

const (
	nothing verdict = iota // the term is not about such rows
	yes
	no
)

func verdictOf(matches bool) verdict {
	if matches {
		return yes
	}
	return no
}

// keeps reports whether a row is kept, about which judge answers term by term.
func (f filter) keeps(judge func(term) verdict) bool {
	for _, t := range f.terms {
		switch v := judge(t); {
		case v == nothing:
		case (v == yes) == t.not:
			return false
		}
	}
	return true
}

// has reports whether one of the values is s.
func (t term) has(s string) bool {
	return slices.ContainsFunc(t.values, func(v string) bool { return strings.EqualFold(v, s) })
}

// within reports whether the text of a plain term occurs in one of the texts.
func (t term) within(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), t.values[0]) })
}

func (f filter) peer(p *peer) bool {
	return f.keeps(func(t term) verdict {
		switch t.field {
		case "zone":
			return verdictOf(t.has(string(p.Zone)) || t.has(p.Name))
		case "state":
			if !slices.ContainsFunc(t.values, isPeerState) {
				return nothing
			}
			return verdictOf(t.has(string(p.State)))
		case "version":
			return verdictOf(p.Version != nil && slices.ContainsFunc(t.values, func(v string) bool {
				return strings.HasPrefix(strings.ToLower(*p.Version), v)
			}))
		case "lag":
			return verdictOf(p.LagOperations != nil && float64(*p.LagOperations) > t.above)
		case "rtt":
			return verdictOf(p.RTTSeconds != nil && *p.RTTSeconds*1000 > t.above)
		case "kind":
			return nothing
		}
		return verdictOf(t.within(p.Name, string(p.Zone), string(p.State), p.address(), p.PublicKey, p.PeerID, p.LastError, strings.Join(p.Reasons, " ")))
	})
}

func isPeerState(v string) bool { return slices.Contains(peerStates, v) }

func isNoticeKind(v string) bool { return slices.Contains(noticeKinds, v) }

func (f filter) notice(n *mesh.Notice) bool {
	return f.keeps(func(t term) verdict {
		switch t.field {
		case "zone":
			return verdictOf(t.has(string(n.Zone)))
		case "kind":
			if slices.ContainsFunc(t.values, isNoticeKind) {
				return verdictOf(t.has(string(n.Kind)))
			}
			return verdictOf(n.Object != "" && t.has(kindOf(n.Object)))
		case "state", "version", "lag", "rtt":
			return nothing
		}
		return verdictOf(t.within(n.Text, string(n.Zone), n.Object, n.Reason, string(n.Kind)))
	})
}

// kindOf is the kind of an object, without its group.
func kindOf(object string) string {
	kind, _, _ := strings.Cut(object, "/")
	kind, _, _ = strings.Cut(kind, ".")
	return kind
}

func (f filter) resource(r *mesh.Resource) bool {
	return f.keeps(func(t term) verdict {
		switch t.field {
		case "zone":
			return verdictOf(t.has(string(r.Owner)))
		case "kind":
			if slices.ContainsFunc(t.values, isNoticeKind) {
				return nothing
			}
			return verdictOf(t.has(kindOf(r.Object)))
		case "state":
			if slices.ContainsFunc(t.values, isPeerState) {
				return nothing
			}
			return verdictOf(t.has(r.State))
		case "version", "lag", "rtt":
			return nothing
		}
		return verdictOf(t.within(r.Object, string(r.Owner), r.State, r.Detail))
	})
}

func (f filter) log(l *mesh.LogStatus) bool {
	return f.keeps(func(t term) verdict {
		switch t.field {
		case "zone":
			return verdictOf(t.has(string(l.Zone)) || t.has(l.Name))
		case "state":
			if slices.ContainsFunc(t.values, isPeerState) {
				return nothing
			}
			return verdictOf(t.has(l.State))
		case "lag":
			return verdictOf(float64(l.Lag) > t.above)
		case "kind", "version", "rtt":
			return nothing
		}
		return verdictOf(t.within(l.Name, string(l.Zone), l.State, l.PublicKey, l.LogID))
	})
}
