package node

import (
	"log/slog"

	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/replica"
)

// levelOf says how loud a decision is. A quiet healthy node says almost nothing at info.
func levelOf(r replica.Reason) slog.Level {
	switch r {
	case replica.Forked, replica.FalseSignature, replica.IdentityClash, replica.ClusterReplaced, replica.StoreRestored, replica.Muted,
		replica.RunInvalid:
		return slog.LevelError
	case replica.DeleteHeld, replica.Contested, replica.Withheld, replica.TooLarge, replica.ApplyFailed,
		replica.Quarantined, replica.RefusedAdopt, replica.RefusedAccept, replica.NewIncarnation, replica.Removed, replica.HandedOverTo:
		return slog.LevelWarn
	case replica.Adopted, replica.Yielded, replica.DeletesAccepted:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

var replicaRefusals = func() map[replica.Reason]bool {
	m := map[replica.Reason]bool{}
	for _, r := range replica.Refusals() {
		m[r] = true
	}
	return m
}()

func isRefusal(r replica.Reason) bool { return replicaRefusals[r] }

// refusal says why something from outside was not taken. The set is closed: it labels a metric, together
// with the replica's reasons, some of which it repeats because they mean the same.
type refusal string

const (
	refusedMalformed   refusal = "malformed"          // a frame or operation that is not what it should be
	refusedTooLarge    refusal = "too_large"          // a frame beyond the cap of its kind, a body beyond its cap
	refusedDiskLow     refusal = "disk_low"           // the disk is nearly full
	refusedNetwork     refusal = "wrong_network"      // hello or heartbeat of another network
	refusedProtocol    refusal = "protocol_version"   // no protocol version in common
	refusedDuplicate   refusal = "duplicate_link"     // a second link to the same process
	refusedHeartbeat   refusal = "invalid_heartbeat"  // signature or shape of a heartbeat
	refusedOrder       refusal = "unexpected_message" // a frame or stream where it may not stand
	refusedCrowded     refusal = "too_many_strangers" // a connection of a key that is not admitted, beyond those let in
	refusedTries       refusal = "too_many_tries"     // the join protocol, after too many bad tries from there
	refusedRecord      refusal = "invalid_record"     // signature or shape of a peer record
	refusedStaleRecord refusal = "stale_record"       // a newer record of its author is held
	refusedLogID               = refusal(replica.RefusedLogID)
	refusedNoBody              = refusal(replica.RefusedBodyMissing)
	refusedNotAdmitted         = refusal(replica.RefusedNotAdmitted)
	refusedZone                = refusal(replica.RefusedZone)
)

// refusals lists the whole set.
func refusals() []refusal {
	out := []refusal{refusedMalformed, refusedTooLarge, refusedDiskLow, refusedNetwork, refusedProtocol,
		refusedDuplicate, refusedHeartbeat, refusedOrder, refusedCrowded, refusedTries, refusedRecord, refusedStaleRecord,
		refusedFast, refusedSlow, refusedBusy, refusedHalfOpen, refusedNotServed}
	for _, r := range replica.Refusals() {
		out = append(out, refusal(r))
	}
	for _, r := range operation.Reasons() {
		out = append(out, ofOperation(r))
	}
	return out
}

func ofOperation(r operation.Reason) refusal { return refusal(snake(string(r))) }
