package mesh

import (
	"encoding/json"
	"time"
)

// This file holds what a node tells to whoever watches it: the values behind /api/v1/events, `mesh tui` and
// the recordings that it plays. Field names are the JSON contract; fields are only added.

// Frame is one message of the stream. Parts that are null did not change. The first frame of a stream is whole:
// everything that is known, and the newest notices. While nothing changes a frame with a Time alone comes
// every second, so that a watcher can tell a quiet node from a lost one.
type Frame struct {
	Time      time.Time         `json:"time"` // of the node that tells, when the frame was made
	Whole     bool              `json:"whole,omitempty"`
	Status    *Status           `json:"status,omitempty"`
	Peers     *Delta[Peer]      `json:"peers,omitempty"` // by public key
	Topology  *Topology         `json:"topology,omitempty"`
	Logs      *Delta[LogStatus] `json:"logs,omitempty"`      // by public key and log id, joined by a slash
	Resources *Delta[Resource]  `json:"resources,omitempty"` // by object
	Notices   []Notice          `json:"notices,omitempty"`   // in the order of their ids
}

// Delta is what changed in a set since the frame before. A whole set may come in several frames: the first has
// Whole set and the others add to it.
type Delta[T any] struct {
	Whole   bool     `json:"whole,omitempty"` // forget what was known before
	Items   []T      `json:"items,omitempty"` // new or changed
	Removed []string `json:"removed,omitempty"`
}

// NoticeKind says which part of a node has something to tell.
type NoticeKind string

// The kinds of notices, a closed set that filters name.
const (
	NoticePeer  NoticeKind = "peer"  // a peer changed its state, joined or was removed
	NoticeLink  NoticeKind = "link"  // a connection opened or closed
	NoticeSync  NoticeKind = "sync"  // behind, caught up
	NoticeApply NoticeKind = "apply" // an object was written to the cluster, or could not be
	NoticeMerge NoticeKind = "merge" // what was decided about an object
	NoticeSnap  NoticeKind = "snap"  // snapshots
	NoticeKube  NoticeKind = "kube"  // the cluster: watches, the API server, the witness
	NoticeLog   NoticeKind = "log"   // forks, refusals, incarnations
	NoticeJoin  NoticeKind = "join"  // invitations and admissions
	NoticeDemo  NoticeKind = "demo"  // what mesh demo does to its nodes; no node tells it
)

// Levels of notices.
const (
	LevelDebug = "debug" // shown only when asked for
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelBad   = "bad"
)

// Notice is one line of what happened, as people are told it. It never holds content of objects.
type Notice struct {
	ID     uint64     `json:"id"` // from 1, rises within one run of a node
	Time   time.Time  `json:"time"`
	Kind   NoticeKind `json:"kind"`
	Level  string     `json:"level"`
	Zone   Zone       `json:"zone,omitempty"`   // the zone it is about, which may be our own
	Object string     `json:"object,omitempty"` // as ObjectKey.String
	Reason string     `json:"reason,omitempty"` // one word, the same as in metrics and Kubernetes events
	Text   string     `json:"text"`             // one sentence without zone
}

// Topology is the mesh as one node sees it.
type Topology struct {
	Self  Zone   `json:"self"`
	Links []Link `json:"links"` // own links first, then what others tell about theirs, by names
}

// Link says how one node sees another. What others tell is a hint: it decides nothing.
type Link struct {
	From       string    `json:"from"` // names as Peer.Name; the own zone for this node
	To         string    `json:"to"`
	State      PeerState `json:"state"`
	Direct     bool      `json:"direct"`     // over a connection of its own
	Transport  *string   `json:"transport"`  // quic, tcp or relay; null where From is another node
	RTTSeconds *float64  `json:"rttSeconds"` // null: not measured
	Since      time.Time `json:"since"`      // since when it has this state, as far as this node knows
}

// Content is an object as the mesh holds it.
type Content struct {
	Object string `json:"object"`
	Zone   Zone   `json:"zone"` // whose claim it is: the owner's unless another was asked for
	// Payload is the object as signed; "<redacted N bytes>" for a Secret, unless it was asked for on the socket.
	Payload json.RawMessage `json:"payload"`
}
