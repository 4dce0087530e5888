package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/replica"
)

// Trace tells the way of an object: who states it, how much of that is here, what became of it, and who else has it.
func (i *inspector) Trace(ctx context.Context, key mesh.ObjectKey) (mesh.Trace, error) {
	var t replica.Trace
	err := i.node.Inspect(ctx, func(r *replica.Replica) {
		key = r.Resolve(key)
		t = r.Trace(key)
	})
	if err != nil {
		return mesh.Trace{}, err
	}
	status, err := i.node.Status(ctx)
	if err != nil {
		return mesh.Trace{}, err
	}
	peers, err := i.node.Peers(ctx)
	if err != nil {
		return mesh.Trace{}, err
	}
	w := way{key: key, self: i.zone, now: i.now(), told: t, status: status, peers: peers, asks: i.choosy(key)}
	if t.At != nil {
		w.holdings, w.announced = i.node.Holdings(t.At.Log)
	}
	return w.trace(), nil
}

func (s *standby) Trace(context.Context, mesh.ObjectKey) (mesh.Trace, error) {
	return mesh.Trace{}, s.refuse()
}

// way puts together what the replica, the network and the cluster know of one object.
type way struct {
	key       mesh.ObjectKey
	self      mesh.Zone
	now       time.Time
	told      replica.Trace
	asks      string // of the configuration, of objects like this one
	status    mesh.Status
	peers     []mesh.Peer
	holdings  map[keys.Public]node.Holding // of the log with the deciding statement
	announced uint32                       // of that log: the first operation that nobody announced
}

func (w *way) trace() mesh.Trace {
	out := mesh.Trace{Resource: w.told.Resource, Steps: []mesh.TraceStep{}}
	out.Steps = append(out.Steps, w.told.Stated...)
	for i := range out.Steps {
		if s := &out.Steps[i]; s.Name == "published" && s.Reason == "missing" {
			s.Next = w.create()
			if w.asks != "" {
				s.Message += "; the configuration asks for " + w.asks
			}
		}
	}
	if w.told.At != nil {
		out.Steps = append(out.Steps, w.arrival()...)
	} else {
		out.Steps = append(out.Steps, w.behind()...)
	}
	out.Steps = append(out.Steps, w.told.Here...)
	out.Steps = append(out.Steps, w.problems()...)
	for _, z := range w.told.Zones {
		out.Steps = append(out.Steps, w.recipient(z))
	}
	return out
}

// create says how the object would come into this zone's cluster, or what is there.
func (w *way) create() []string {
	switch c := w.status.Cluster; c.Kind {
	case "folder":
		return []string{"put its manifest into " + path.Join(c.Location, "local")}
	case "kubernetes":
		kind := w.key.Kind
		if w.key.Group != "" {
			kind += "." + w.key.Group
		}
		if w.key.Namespace != "" {
			return []string{fmt.Sprintf("kubectl get -n %s %s %s", w.key.Namespace, kind, shellQuote(w.key.Name))}
		}
		return []string{fmt.Sprintf("kubectl get %s %s", kind, shellQuote(w.key.Name))}
	}
	return nil
}

// arrival compares what is announced of the author's log with what is here.
func (w *way) arrival() []mesh.TraceStep {
	announced := mesh.TraceStep{Name: "announced", Status: mesh.CheckOK}
	held := mesh.TraceStep{Name: "held", Status: mesh.CheckOK}
	if w.told.Author == w.self {
		announced.Message = fmt.Sprintf("this zone's log is announced up to operation %d", max(w.announced, 1)-1)
		held.Message = fmt.Sprintf("operation %d is on disk here", w.told.At.Seq)
		return []mesh.TraceStep{announced, held}
	}
	i := slices.IndexFunc(w.status.Replication, func(r mesh.Replication) bool { return r.Zone == w.told.Author })
	if i < 0 {
		announced.Status, announced.Message = mesh.CheckSkip, "nobody announces the log of "+string(w.told.Author)+" now"
		held.Message = fmt.Sprintf("operation %d is here", w.told.At.Seq)
		return []mesh.TraceStep{announced, held}
	}
	r := w.status.Replication[i]
	announced.Message = fmt.Sprintf("%s of %s's log are announced", readable.Count(int(r.Announced), "operation"), r.Zone)
	held.Message = "all of them are here"
	if r.LagOperations > 0 {
		held.Status, held.Reason = mesh.CheckFail, "behind"
		held.Message = fmt.Sprintf("%d of them are not here yet, for %s: what they say about it is not known here", r.LagOperations, round(r.LagSeconds))
		held.Next = []string{"mesh peers describe " + string(r.Zone), "mesh status --wait"}
	}
	return []mesh.TraceStep{announced, held}
}

// behind names the zones whose newest statements are not here: the object may be among them.
func (w *way) behind() (out []mesh.TraceStep) {
	for _, r := range w.status.Replication {
		if r.LagOperations > 0 {
			out = append(out, mesh.TraceStep{Name: "held", Status: mesh.CheckFail, Reason: "behind", Next: []string{"mesh peers describe " + string(r.Zone), "mesh status --wait"},
				Message: fmt.Sprintf("%s announced %s that are not here yet, for %s; it may be among them", r.Zone, readable.Count(int(r.LagOperations), "operation"), round(r.LagSeconds))})
		}
	}
	return out
}

func round(seconds float64) string {
	return readable.Span(time.Duration(seconds * float64(time.Second)))
}

// maxTraceProblems bounds how many problems of the cluster are told with one object.
const maxTraceProblems = 5

// problems are those of the cluster that concern the object, or may.
func (w *way) problems() (out []mesh.TraceStep) {
	c := w.status.Cluster
	if c.Kind == "none" {
		return nil
	}
	add := func(s mesh.CheckStatus, reason, text string) {
		if len(out) < maxTraceProblems {
			out = append(out, mesh.TraceStep{Name: "cluster", Status: s, Reason: reason, Message: text, Next: []string{"mesh status"}})
		}
	}
	unstated := w.told.At == nil
	if !c.Connected {
		add(mesh.CheckFail, "Disconnected", strings.TrimSpace(c.Kind+" "+c.Location)+" cannot be read, or not wholly")
	}
	for _, p := range c.Problems {
		switch {
		case p.Object == w.key.String():
			add(mesh.CheckFail, p.Reason, place(p)+p.Text)
		case p.Object == "" && p.File != "" && unstated && mayDefine(p.File, w.key):
			add(mesh.CheckFail, p.Reason, place(p)+p.Text+"; it may be defined there")
		case p.Object == "" && p.File == "" && strings.Contains(strings.ToLower(p.Text), strings.ToLower(w.key.Kind)):
			add(mesh.CheckWarn, p.Reason, p.Text)
		}
	}
	unread := 0
	for _, p := range c.Problems {
		if p.Object == "" && p.File != "" && unstated && !mayDefine(p.File, w.key) {
			unread++
		}
	}
	if unread > 0 {
		add(mesh.CheckWarn, "Unread", readable.Count(unread, "other file")+" in the folder cannot be read; it may be defined there")
	}
	return out
}

// place is where a problem lies, in front of its text.
func place(p mesh.Problem) string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File + ": "
	}
	return fmt.Sprintf("%s:%d: ", p.File, p.Line)
}

// mayDefine reports whether a file's name speaks of the object.
func mayDefine(file string, k mesh.ObjectKey) bool {
	return strings.Contains(path.Base(file), k.Name)
}

// recipient says whether another zone holds the deciding statement.
func (w *way) recipient(z replica.Recipient) mesh.TraceStep {
	s := mesh.TraceStep{Name: "held", Zone: z.Zone, Status: mesh.CheckOK}
	if s.Zone == "" {
		s.Zone = mesh.Zone("peer-" + z.Key.Short())
	}
	var peer mesh.Peer
	if i := slices.IndexFunc(w.peers, func(p mesh.Peer) bool { return p.PublicKey == z.Key.String() }); i >= 0 {
		peer = w.peers[i]
	}
	seq, h := w.told.At.Seq, w.holdings[z.Key]
	switch {
	case z.Key == w.told.At.Log.Author:
		s.Message = "its own statement"
	case z.Acked != nil && *z.Acked >= seq:
		s.Message = fmt.Sprintf("acknowledged the log up to operation %d", *z.Acked)
	case h.Same:
		s.Message = "holds exactly what this node holds"
	case h.Known && h.Next > seq:
		s.Message = fmt.Sprintf("holds the log up to operation %d", h.Next-1)
	default:
		s.Status, s.Reason, s.Next = mesh.CheckFail, "behind", []string{"mesh peers describe " + string(s.Zone)}
		s.Message = "holds nothing of this log"
		switch {
		case h.Known && h.Next > 0:
			s.Message = fmt.Sprintf("holds the log up to operation %d only", h.Next-1)
		case z.Acked != nil:
			s.Message = fmt.Sprintf("acknowledged the log up to operation %d only", *z.Acked)
		case !h.Known && peer.State == mesh.Ready:
			s.Status, s.Reason, s.Next, s.Message = mesh.CheckSkip, "", nil, "is not directly connected, and nobody told how much it holds"
		case !h.Known:
			s.Message = "nothing is known of what it holds"
		}
		if peer.State != mesh.Ready && peer.State != "" {
			s.Message += "; it is " + string(peer.State)
			if peer.Since != nil {
				s.Message += " since " + readable.Span(w.now.Sub(*peer.Since))
			}
		}
	}
	return s
}
