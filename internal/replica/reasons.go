package replica

// Reason names a decision. The set is closed: it labels metrics and stands in log lines and `mesh log`.
type Reason string

// An operation was refused. Its log and every other log go on.
const (
	RefusedNotAdmitted  Reason = "not_admitted"        // its author is no member here
	RefusedZone         Reason = "zone_mismatch"       // its author is bound to another zone, or the zone to another key
	RefusedLogID        Reason = "log_id_mismatch"     // the log id doesn't follow from network, zone and incarnation
	RefusedUnreadable   Reason = "unreadable"          // an unreadable body in a log that isn't known
	RefusedGap          Reason = "gap"                 // operations before it are missing and the buffer is full
	RefusedVoid         Reason = "void"                // above the limit of its log
	RefusedCovered      Reason = "covered"             // its whole log was restated by a later one
	RefusedAside        Reason = "incarnation_aside"   // too many uncovered incarnations; the lower ones are put aside
	RefusedDelayed      Reason = "incarnation_delayed" // new logs of one author come too fast; asked for again later
	RefusedStart        Reason = "log_start"           // a log must begin with a snapshot
	RefusedTrust        Reason = "trust_limit"         // the author states more about trust than is kept
	RefusedBodyMissing  Reason = "body_missing"        // a payload is named and not at hand: a hint to sync
	RefusedOwnElsewhere Reason = "own_key_elsewhere"   // our own key signed a log of ours that we don't hold
	RefusedRemoved      Reason = "removed"             // its author was removed from the mesh, or is to be
	RefusedConflict     Reason = "zone_disputed"       // its author and another key are both bound to its zone
	RefusedSignature    Reason = "signature_mismatch"  // its own signature was needed and doesn't hold
)

// What became of logs.
const (
	Quarantined     Reason = "quarantined"      // kept and relayed, but its body cannot be read by this version
	Forked          Reason = "fork"             // proof that an author signed two histories
	FalseSignature  Reason = "false_signature"  // an operation was never signed by its author, who signed what follows it
	RunInvalid      Reason = "snapshot_invalid" // a run's count or digest doesn't hold, or a part is unreadable
	SnapshotWritten Reason = "snapshot_written"
	SnapshotMerged  Reason = "snapshot_merged"
	NewIncarnation  Reason = "new_incarnation"
	LogDropped      Reason = "log_dropped"
)

// What became of objects.
const (
	ChangeSigned    Reason = "published"
	DeleteSigned    Reason = "delete_signed"
	ReleaseSigned   Reason = "release_signed"
	Yielded         Reason = "yielded"         // another zone's claim won over ours
	Adopted         Reason = "adopted"         // ownership taken here
	Restated        Reason = "restated"        // stated again at a higher epoch or with its older birth
	DriftCorrected  Reason = "drift_corrected" // a replica was altered here and is put back
	DeleteHeld      Reason = "delete_held"     // by the mass-delete brake
	DeletesAccepted Reason = "deletes_accepted"
	Contested       Reason = "contested"   // two creators; each keeps its copy
	Withheld        Reason = "withheld"    // its labels name another zone that claims it
	NotAllowed      Reason = "not_allowed" // a rule keeps it from being published or applied
	TooLarge        Reason = "too_large"   // or otherwise no object that can be stated
	ApplyFailed     Reason = "apply_failed"
	RefusedAdopt    Reason = "adopt_refused"
	RefusedAccept   Reason = "accept_refused" // the held set is not the one that was shown
)

// What became of this node.
const (
	ClusterReplaced Reason = "cluster_replaced" // the witness is missing, foreign or older than the store
	StoreRestored   Reason = "store_restored"   // the witness is newer than the store
	IdentityClash   Reason = "identity_conflict"
	Muted           Reason = "muted"
	Removed         Reason = "key_removed"     // a key was removed from the mesh
	HandedOverTo    Reason = "key_handed_over" // the zone of a key went to another key
	Refetched       Reason = "log_refetched"   // more of a log was merged than stands: it is fetched anew
	InviteRedeemed  Reason = "invite_redeemed"
	RefusedInvite   Reason = "invite_refused"
	RefusedExpel    Reason = "remove_refused"
	RefusedHandOver Reason = "hand_over_refused"
	Joined          Reason = "joined" // the start's comparison is over; local changes are signed from now on
)

// Refusals lists the reasons for which an operation is refused, for metrics that start at zero.
func Refusals() []Reason {
	return []Reason{RefusedNotAdmitted, RefusedZone, RefusedLogID, RefusedUnreadable, RefusedGap, RefusedVoid,
		RefusedCovered, RefusedAside, RefusedDelayed, RefusedStart, RefusedTrust, RefusedBodyMissing, RefusedOwnElsewhere, RefusedRemoved, RefusedConflict, RefusedSignature}
}
