package replica

import (
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Input is one thing that happened. The concrete types below are all there is.
type Input interface{ input() }

// What the cluster reports. An adapter reports what it sees and decides nothing: every conclusion is drawn
// here.
type (
	// Local reports an object that stands among the zone's own: in a folder under local/, in Kubernetes any
	// object that mesh did not write. Payload is its cleaned canonical JSON.
	Local struct {
		Object  mesh.ObjectKey
		Payload []byte
		// Labelled is the zone its bookkeeping labels name, or empty. Labels may withhold but never authorise.
		Labelled mesh.Zone
	}
	// LocalGone reports, from a live read, that an object is not among the zone's own while its place can be
	// read. It is never sent for a file that doesn't parse, an unmounted folder or a missing type.
	LocalGone struct{ Object mesh.ObjectKey }
	// LocalUnmatched reports an object that exists but that no entry of the configuration publishes any more.
	LocalUnmatched struct{ Object mesh.ObjectKey }
	// ReplicaSeen reports a replica as it stands in the cluster. Content is the hash of what was written when it
	// still stands unaltered, another hash when it drifted, and zero when the object is not there. Zone is empty
	// when nothing on the object tells whose replica it is.
	ReplicaSeen struct {
		Object  mesh.ObjectKey
		Zone    mesh.Zone
		Content mesh.Hash
	}
	// Listed reports that every object that exists was reported once since the adapter started.
	Listed struct{}
	// WitnessRead answers Effects.CheckWitness, and opens the adapter's reports at its start. It answers
	// Effects.WriteWitness where the cluster carries another witness than was read or written last: then nothing was
	// written. Present is false when the cluster carries no witness. It is never sent while the cluster cannot be read.
	WitnessRead struct {
		Present bool
		Witness event.Witness
		// Incarnation is the highest one of this zone that the cluster names; 0: none. Ours has to be higher,
		// unless it is that very one.
		Incarnation mesh.Incarnation
	}
	// WitnessWritten confirms Effects.WriteWitness.
	WitnessWritten struct{ Witness event.Witness }
	// Written reports the outcome of one Write.
	Written struct {
		Write   Write
		Err     string // empty: done. Otherwise one sentence for status
		Retry   bool   // with Err: the adapter goes on trying by itself, with back-off
		Altered bool   // with Err: the object is not what the write expected; nothing was written
		// Base is what the cluster answered to a PutReplica or YieldLocal that is done. It is stored with the
		// write and handed back to the adapter at the next start.
		Base oplog.Baseline
	}
)

// What other nodes send.
type (
	// Arrived is an operation whose canonical form, signature and payload hash were verified by the caller.
	// Event is nil when the body could not be read; the operation is then quarantined.
	Arrived struct {
		Op    *operation.Operation
		Event *event.Event
		From  keys.Public // the connected peer that sent it
		// Vouched: not its own signature was verified but one of a later operation of its log that names it, directly
		// or through others that name each other.
		Vouched bool
	}
	// ArrivedRun is operations that came one after the other, each as in Arrived: they are taken in in this order.
	ArrivedRun []Arrived
	// Checked tells what became of rows whose signatures were not verified yet (Unchecked): those of [From, To)
	// hold, and each names the one before it; Last is the id of the last of them. Where False is not zero it is the
	// id of operation To, whose signature does not hold.
	Checked struct {
		Log         mesh.LogKey
		From, To    uint32
		Last, False mesh.Hash
	}
	// ArrivedTrust is a trust operation that came in a frame of its own, verified as in Arrived.
	ArrivedTrust struct {
		Op    *operation.Operation
		Event *event.Event
		From  keys.Public
	}
	// Haves is what a peer says it holds. A claim of the sender, not proof.
	Haves struct {
		From keys.Public
		Logs []oplog.Have
	}
	// Compared reports that a sync round with a peer was completed in our direction: all that it had for us
	// was sent to us and handed in before this input.
	Compared struct{ From keys.Public }
)

// What the operator and the node itself say.
type (
	// Tick lets time pass; send it when Deadline is reached.
	Tick struct{}
	// Adopt takes ownership of an object here.
	Adopt struct{ Object mesh.ObjectKey }
	// AcceptDeletes confirms the deletions that are held for a zone, for exactly the set whose digest the
	// operator was shown (see Held). For the own zone it also confirms that the cluster was replaced.
	AcceptDeletes struct {
		Zone   mesh.Zone
		Digest mesh.Hash
	}
	// Members replaces the configured members.
	Members struct{ Nodes []Member }
	// Mute stops signing, because another live instance with our key goes on; false resumes.
	Mute struct{ On bool }
)

func (Local) input()          {}
func (LocalGone) input()      {}
func (LocalUnmatched) input() {}
func (ReplicaSeen) input()    {}
func (Listed) input()         {}
func (WitnessRead) input()    {}
func (WitnessWritten) input() {}
func (Written) input()        {}
func (Arrived) input()        {}
func (ArrivedTrust) input()   {}
func (ArrivedRun) input()     {}
func (Checked) input()        {}
func (Haves) input()          {}
func (Compared) input()       {}
func (Tick) input()           {}
func (Adopt) input()          {}
func (AcceptDeletes) input()  {}
func (Members) input()        {}
func (Mute) input()           {}

// Member is an admitted key. Zone is empty when its first operation is to decide.
type Member struct {
	Key  keys.Public
	Zone mesh.Zone
}
