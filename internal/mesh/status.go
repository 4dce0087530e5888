package mesh

import "time"

// This file holds what a running node tells about itself: the values behind `mesh status`, `mesh peers`,
// `mesh log ls`, the HTTP API and the metrics. Field names are the JSON contract; fields are only added.

// PeerState is how alive a peer looks from here.
type PeerState string

const (
	Ready       PeerState = "Ready"
	NotReady    PeerState = "NotReady"
	Unavailable PeerState = "Unavailable"
	Unknown     PeerState = "Unknown" // remembered from before, not heard in this run
	// NotAdmitted is a node of the same network id that was seen on the local network and that nobody admitted. It is
	// no peer: it is listed for people, and counted nowhere.
	NotAdmitted PeerState = "NotAdmitted"
)

// Status is one node in one page.
type Status struct {
	Zone          Zone          `json:"zone"`
	PeerID        string        `json:"peerId"`
	PublicKey     string        `json:"publicKey"`
	NetworkID     NetworkID     `json:"networkId"`
	Version       string        `json:"version"`
	UptimeSeconds float64       `json:"uptimeSeconds"`
	Incarnation   *time.Time    `json:"incarnation"` // null until the first operation was signed
	Listen        []string      `json:"listen"`      // such as udp/9102, tcp/9102, http/3000
	Ready         bool          `json:"ready"`
	InSync        bool          `json:"inSync"`
	Peers         PeerCounts    `json:"peers"`
	Replication   []Replication `json:"replication"`
	Resources     Resources     `json:"resources"`
	Cluster       ClusterStatus `json:"cluster"`
	LeaseHeld     *bool         `json:"leaseHeld"` // null where no other process could work on the same cluster
	Lease         *LeaseStatus  `json:"lease,omitempty"`
	Findings      []Finding     `json:"findings"` // what an operator should know, worst first

	// Partial: the node itself was not asked. What MeshPeers tell is here: zone, key, version, incarnation, readiness and
	// the counts of peers; the rest is not known.
	Partial bool `json:"partial,omitempty"`
}

// LeaseStatus says which of the processes that may work for a zone does.
type LeaseStatus struct {
	State  string    `json:"state"`  // Waiting, Standby, Held, Unconfirmed, Lost, Released
	Holder string    `json:"holder"` // who was last seen to lead; empty: nobody
	Since  time.Time `json:"since"`
}

// PeerCounts counts peers by state.
type PeerCounts struct {
	Total       int `json:"total"`
	Ready       int `json:"ready"`
	NotReady    int `json:"notReady"`
	Unknown     int `json:"unknown"`
	Unavailable int `json:"unavailable"`
}

// Replication says how far this node is behind one other zone.
type Replication struct {
	Zone          Zone    `json:"zone"`
	Announced     uint64  `json:"announced"` // operations announced by anyone (height + 1)
	Applied       uint64  `json:"applied"`   // operations held and merged here
	LagOperations uint64  `json:"lagOperations"`
	LagSeconds    float64 `json:"lagSeconds"`
}

// Resources counts objects.
type Resources struct {
	Live        int `json:"live"`
	Tombstones  int `json:"tombstones"`
	Contested   int `json:"contested"`
	Rejected    int `json:"rejected"`
	DeletesHeld int `json:"deletesHeld"`
	Unmanaged   int `json:"unmanaged"`
	NotAllowed  int `json:"notAllowed"` // kept from flowing by nodes[].allow or mesh.resources
	Kinds       int `json:"kinds"`      // of the live ones
	Namespaces  int `json:"namespaces"` // of the live ones; objects without a namespace are in none
}

// ClusterStatus describes the place where objects live.
type ClusterStatus struct {
	Kind      string     `json:"kind"` // folder, kubernetes or none
	Location  string     `json:"location,omitempty"`
	Connected bool       `json:"connected"`
	Problems  []Problem  `json:"problems"`
	LastWrite *time.Time `json:"lastWrite"`
	Version   string     `json:"version,omitempty"` // of the API server
	// ConflictsLastHour counts writes to the API server that were made anew because the object had changed.
	ConflictsLastHour *int `json:"conflictsLastHour,omitempty"`
}

// Problem is one thing in the cluster that cannot be read or written: a file that does not parse, two files
// that define one object.
type Problem struct {
	Object string    `json:"object,omitempty"`
	File   string    `json:"file,omitempty"`
	Line   int       `json:"line,omitempty"`
	Reason string    `json:"reason"` // CamelCase
	Text   string    `json:"text"`   // one sentence, never object content
	Since  time.Time `json:"since"`
}

// Finding is one thing an operator should know.
type Finding struct {
	ID      string `json:"id"`     // such as peers.reachable
	Status  string `json:"status"` // warn or fail
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
	Next    string `json:"next,omitempty"` // the command that helps
}

// Peer is one other node.
type Peer struct {
	Name               string     `json:"name"`
	Zone               Zone       `json:"zone"`
	State              PeerState  `json:"state"`
	Since              *time.Time `json:"since"`
	PublicKey          string     `json:"publicKey"`
	PeerID             string     `json:"peerId"`
	Endpoints          []string   `json:"endpoints"`
	Address            *string    `json:"address"`
	Transport          *string    `json:"transport"` // quic, tcp
	RTTSeconds         *float64   `json:"rttSeconds"`
	LagOperations      *uint64    `json:"lagOperations"`
	LagSeconds         *float64   `json:"lagSeconds"`
	LastSeen           *time.Time `json:"lastSeen"`
	ClockOffsetSeconds *float64   `json:"clockOffsetSeconds"`
	Version            *string    `json:"version"`
	Incarnation        *time.Time `json:"incarnation"`
	FirstSeen          *time.Time `json:"firstSeen"`
	TxBytes            uint64     `json:"txBytes"`
	RxBytes            uint64     `json:"rxBytes"`
	Reasons            []string   `json:"reasons"`
	LastError          string     `json:"lastError,omitempty"` // what answered the last dial
	DeletesHeld        int        `json:"deletesHeld"`
	Admission          *Admission `json:"admission"` // null: it is not admitted by a statement that is known
	ZoneKeys           []ZoneKey  `json:"zoneKeys"`  // the keys that held its zone, oldest first

	RTTP95Seconds *float64 `json:"rttP95Seconds"` // of the last 100 probes that were answered
	LossRatio     *float64 `json:"lossRatio"`     // of the last 100 probes; null: none has an outcome yet
	TxMessages    uint64   `json:"txMessages"`
	RxMessages    uint64   `json:"rxMessages"`
	// Learnt are the ways to it that are known beside Endpoints, the best first, at most 8. Attempts are the newest ones
	// to reach it from this node, the newest first, one for each address and transport, at most 8.
	Learnt   []LearntAddress `json:"learnt,omitempty"`
	Attempts []DialAttempt   `json:"attempts,omitempty"`

	// Where a Kubernetes cluster shows it: the namespace and the object, such as meshpeer.dcp.hiro.io/peer-3d4017c3. Set
	// by who asks through Kubernetes only.
	Namespace string `json:"namespace,omitempty"`
	Object    string `json:"object,omitempty"`
	// Partial: no live node was asked, so what only one knows is not known, such as bytes and round trips.
	Partial bool `json:"partial,omitempty"`
}

// LearntAddress is a way to a peer that nobody configured.
type LearntAddress struct {
	Address string     `json:"address"`
	From    string     `json:"from"`   // peer (it says so itself), lan (somebody on the local network does), or stored
	Worked  *time.Time `json:"worked"` // when a connection was made by it last; null: never
}

// DialAttempt is one try to reach a peer.
type DialAttempt struct {
	Address   string    `json:"address"`   // host:port
	Transport string    `json:"transport"` // quic or tcp; empty where a name has no address
	Error     string    `json:"error"`     // one sentence; empty: it answered
	At        time.Time `json:"at"`
	Since     time.Time `json:"since"` // since when every attempt ended this way
}

// LogStatus is one log as `mesh log ls` shows it.
type LogStatus struct {
	Name        string     `json:"name"` // its zone
	Zone        Zone       `json:"zone"`
	PublicKey   string     `json:"publicKey"`
	LogID       string     `json:"logId"`
	Incarnation time.Time  `json:"incarnation"`
	Height      *uint32    `json:"height"` // null while empty
	Applied     *uint32    `json:"applied"`
	Lag         uint64     `json:"lag"`
	Snapshot    *uint32    `json:"snapshot"` // seq of the newest whole snapshot
	Operations  uint64     `json:"operations"`
	Bytes       uint64     `json:"bytes"`
	State       string     `json:"state"` // OK, Behind, Frozen, Covered, Staging
	Updated     *time.Time `json:"updated"`
}

// Resource is one object as the claims show it.
type Resource struct {
	Object  string    `json:"object"`
	Owner   Zone      `json:"owner"` // empty when nobody claims it
	State   string    `json:"state"` // Live, Deleted, Conflict, Held, Unmanaged, NotRestated, Rejected, Pending, NotAllowed
	Epoch   Epoch     `json:"epoch"`
	Version Version   `json:"version"`
	Content string    `json:"content,omitempty"` // hash
	Claims  []Zone    `json:"claims"`            // zones with a live claim
	Since   time.Time `json:"since"`
	Detail  string    `json:"detail,omitempty"`
}

// HeldDeletes is the set that the mass-delete brake holds for one zone.
type HeldDeletes struct {
	Zone    Zone     `json:"zone"`
	Objects []string `json:"objects"` // in key order
	Digest  string   `json:"digest"`  // of exactly this set: hand it back to confirm
	Reason  string   `json:"reason"`  // Brake or ClusterReplaced
}
