package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

const (
	// stuckAfter is how long a log may be behind without anything arriving while somebody is there to send it: twice
	// the interval of regular sync rounds.
	stuckAfter = 2 * time.Minute

	// A log that grew by so many times what makes a snapshot due has not got it.
	overdueTimes = 4

	// Conflicts are told when they are more than chance: some, and a share of all writes.
	conflictsLeast = 10
	conflictsShare = 0.1
)

// stuck tells of logs that are behind and don't move.
func (n *Node) stuck() []mesh.CheckResult {
	var bad []mesh.CheckResult
	behind := map[mesh.Zone]time.Duration{}
	for _, r := range n.Status.Replication {
		behind[r.Zone] = time.Duration(r.LagSeconds * float64(time.Second))
	}
	for _, l := range n.Logs {
		if l.Lag == 0 || behind[l.Zone] < stuckAfter || l.Updated != nil && n.Now.Sub(*l.Updated) < stuckAfter || !n.anyReady() {
			continue
		}
		since := "nothing of it ever arrived"
		if l.Updated != nil {
			since = fmt.Sprintf("its newest operation arrived %s ago", readable.Span(n.Now.Sub(*l.Updated)))
		}
		if l.State == "Frozen" {
			since = "it is frozen"
		}
		bad = append(bad, Fail(string(l.Zone), fmt.Sprintf("the log of %s stands still, %s behind", l.Zone, readable.Count(l.Lag, "operation")), since,
			"mesh log ls", "mesh log verify "+string(l.Zone)))
	}
	if len(bad) > 0 {
		return bad
	}
	if len(n.Logs) == 0 {
		return Skip("there are no logs yet")
	}
	return OK("%s still", allOf(len(n.Logs), "log: it doesn't stand", "logs: none stands"))
}

// forged are the reasons of mesh_refused_total that no node of the same version ever gives cause for.
var forged = []string{
	"malformed", "invalid_heartbeat", "invalid_record", "signature_mismatch", "payload_mismatch", "seq_num_mismatch", "inconsistent_payload_info",
	"backlink_mismatch", "backlink_missing", "too_many_authors", "invalid_key", "unsupported_version", "unsupported_extensions",
}

// signatures tells what was refused because of its bytes, and of logs whose two histories prove a key misused.
func (n *Node) signatures() []mesh.CheckResult {
	if n.Refused == nil {
		return Skip("what was refused is not known here")
	}
	var parts []string
	total := uint64(0)
	for _, r := range forged {
		if c := n.Refused[r]; c > 0 {
			total += c
			parts = append(parts, fmt.Sprintf("%d %s", c, strings.ReplaceAll(r, "_", " ")))
		}
	}
	if total == 0 {
		return OK("nothing was refused as forged or malformed")
	}
	return []mesh.CheckResult{Warn("", fmt.Sprintf("%s refused as forged or malformed since this node started", allOf(int(min(total, 1<<31)), "message was", "messages were")),
		strings.Join(parts, ", "), "mesh log verify", "mesh peers -o wide")}
}

// snapshot looks at the newest log of this zone.
func (n *Node) snapshot() []mesh.CheckResult {
	var own *mesh.LogStatus
	for i := range n.Logs {
		if l := &n.Logs[i]; l.PublicKey == n.Status.PublicKey && (own == nil || l.Incarnation.After(own.Incarnation)) {
			own = l
		}
	}
	if own == nil || own.Height == nil {
		return Skip("this node has signed nothing yet")
	}
	after := uint64(*own.Height) + 1
	if own.Snapshot != nil && *own.Snapshot <= *own.Height {
		after = uint64(*own.Height - *own.Snapshot)
	}
	limit := overdueTimes * max(n.SnapshotMaxLog, uint64(max(n.Status.Resources.Live, 0)))
	next := []string{"look for errors in the log of the node", "mesh log ls"}
	age := ""
	if n.SnapshotAt != nil {
		age = ", " + readable.Span(n.Now.Sub(*n.SnapshotAt)) + " old"
		// An operation came after the next snapshot was due, and so long ago that it should have made one.
		due := n.SnapshotAt.Add(n.SnapshotInterval)
		if u := own.Updated; u != nil && n.SnapshotInterval > 0 && u.After(due) && n.Now.Sub(*u) > n.SnapshotInterval {
			return []mesh.CheckResult{Warn(string(own.Zone), "the snapshot of this zone's log is overdue"+age,
				fmt.Sprintf("operations came after it, the last %s ago", readable.Span(n.Now.Sub(*u))), next...)}
		}
	}
	switch {
	case after > limit && n.SnapshotMaxLog > 0:
		return []mesh.CheckResult{Warn(string(own.Zone), fmt.Sprintf("%s of this zone's log follow the newest snapshot", readable.Count(after, "operation")),
			fmt.Sprintf("one is due after %d", n.SnapshotMaxLog), next...)}
	case own.Snapshot == nil:
		return OK("this zone's log is too young for a snapshot: %s", readable.Count(after, "operation"))
	}
	return OK("the newest snapshot of this zone's log is at %d%s", *own.Snapshot, age)
}

// connected tells whether the place where objects live can be read.
func (n *Node) connected() []mesh.CheckResult {
	c := n.Status.Cluster
	if c.Kind == "" || c.Kind == "none" {
		return Skip(noCluster)
	}
	if bad := n.findings("cluster.connected"); len(bad) > 0 {
		return bad
	}
	where := strings.TrimSpace(c.Kind + " " + c.Location)
	if !c.Connected {
		return []mesh.CheckResult{Fail(where, where+": cannot be read, or not wholly", "nothing that is missing in it counts as deleted", "mesh status")}
	}
	return OK("%s is read as a whole", where)
}

const noCluster = "no cluster is configured"

// problems lists what single objects of the cluster have.
func (n *Node) problems() []mesh.CheckResult {
	c := n.Status.Cluster
	if c.Kind == "" || c.Kind == "none" {
		return Skip(noCluster)
	}
	var bad []mesh.CheckResult
	for _, p := range c.Problems {
		where := cmp.Or(p.Object, p.File)
		if p.File != "" && p.Line > 0 {
			where = fmt.Sprintf("%s:%d", p.File, p.Line)
		}
		x := Warn(where, where+": "+p.Reason, p.Text, "mesh status")
		if where == "" {
			x.Message = p.Reason
		}
		bad = append(bad, x)
	}
	if len(bad) > 0 {
		return bad
	}
	return OK("no object of the cluster has a problem")
}

// conflicts tells of others who write what mesh writes.
func (n *Node) conflicts() []mesh.CheckResult {
	if n.Status.Cluster.Kind != "kubernetes" {
		return Skip("no cluster of Kubernetes is configured")
	}
	fights := 0
	for _, p := range n.Status.Cluster.Problems {
		if slices.Contains([]string{"Contested", "Drifted"}, p.Reason) {
			fights++
		}
	}
	said := fmt.Sprintf("%s among %s since this node started", readable.Count(n.KubeConflicts, "conflict"), readable.Count(n.KubeWrites, "write"))
	many := n.KubeConflicts >= conflictsLeast && float64(n.KubeConflicts) > conflictsShare*float64(n.KubeWrites)
	switch {
	case fights > 0:
		return []mesh.CheckResult{Warn("", allOf(fights, "replica is altered by somebody else again and again", "replicas are altered by somebody else again and again"), said, "mesh status")}
	case many:
		return []mesh.CheckResult{Warn("", "many writes had to be made anew because the object had changed meanwhile", said, "find who else writes these objects: mesh status")}
	}
	return OK("%s", said)
}
