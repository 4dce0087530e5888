package meshpeer

// Types of conditions. True is good for each.
const (
	Ready             = "Ready"             // operations flow
	Connected         = "Connected"         // there is a direct connection
	Synced            = "Synced"            // everything that the peer announced is held here
	VersionCompatible = "VersionCompatible" // both speak a common protocol
	AdmittedHere      = "Admitted"          // what was made of spec.admitted; only on objects that need it
)

// Reasons of conditions. Ready carries those of the node's membership too, such as ProbesMissed.
const (
	ReasonConnected       = "Connected"       // Ready, Connected: a direct connection is up
	ReasonHeartbeatsHeard = "HeartbeatsHeard" // Ready: heard through others
	ReasonNotConnected    = "NotConnected"    // Connected: no direct connection
	ReasonNotHeardYet     = "NotHeardYet"     // nothing heard in this run
	ReasonNotAdmitted     = "NotAdmitted"     // in no config and not admitted here
	ReasonAdmitted        = "Admitted"        // by this object
	ReasonInvalidKey      = "InvalidKey"      // 64 digits that are no Ed25519 key
	ReasonInvalidEndpoint = "InvalidEndpoint" // an endpoint that can't be dialled
	ReasonInvalidZone     = "InvalidZone"
	ReasonTooMany         = "TooMany"      // more admissions than are taken
	ReasonDuplicateKey    = "DuplicateKey" // an older object has the same key
	ReasonOwnKey          = "OwnKey"       // the node's own key needs no admission
	ReasonRunning         = "Running"      // the node itself
	ReasonStarting        = "Starting"
	ReasonStopped         = "Stopped"
	ReasonSelf            = "Self"
	ReasonInSync          = "InSync"
	ReasonBehind          = "Behind"
	ReasonNotComparedYet  = "NotComparedYet"
	ReasonSameVersion     = "SameVersion"
	ReasonOtherVersion    = "OtherVersion" // another release, which speaks the same protocol
	ReasonVersionUnknown  = "VersionUnknown"

	ReasonNoCommonProtocol = "NoCommonProtocol"

	ReasonRemoved    = "Removed"          // Ready, Connected, Admitted: the mesh removed the key; nothing brings it back
	ReasonHandedOver = "HandedOver"       // the same: its zone went to another key
	ReasonConflict   = "IdentityConflict" // Ready: the mesh doesn't agree whose zone it is
)

// Reasons of Kubernetes Events on MeshPeers.
const (
	PeerReady        = "PeerReady"
	PeerNotReady     = "PeerNotReady"
	PeerUnavailable  = "PeerUnavailable"
	PeerJoined       = "PeerJoined"
	PeerRemoved      = "PeerRemoved"
	IdentityConflict = "IdentityConflict"
	VersionSkew      = "VersionSkew"
	ForkDetected     = "ForkDetected"
	DeletesHeld      = "DeletesHeld"
)

// Reasons of problems, see [Keeper.Problems].
const (
	ReasonNotServed          = "MeshPeersNotServed"
	ReasonNamespaceMissing   = "NamespaceMissing"
	ReasonForbidden          = "Forbidden"
	ReasonUnreachable        = "APIServerUnreachable"
	ReasonRejected           = "Rejected"
	ReasonTooManyObjects     = "TooManyMeshPeers"
	ReasonWithdrawalUnproven = "WithdrawalNotProven"
)

// reasonTwoInstances is how a node's status says that two live instances of one key were seen.
const reasonTwoInstances = "TwoInstances"

// sentences explain the reasons of a peer's state that its membership gives.
var sentences = map[string]string{
	"NotHeardYet":      "Nothing was heard of this node since the controller started.",
	"ConnectionClosed": "The connection to this node was closed.",
	"Goodbye":          "The node said that it stops.",
	"ProbesMissed":     "The connection to this node doesn't answer.",
	"HeartbeatsMissed": "There is no direct connection, and its heartbeats stopped.",
	"NeverHeard":       "The node was not heard once since the controller started.",
	"TimedOut":         "The node has been silent for too long.",
}
