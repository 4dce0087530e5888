package meshpeer

import (
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// behindFor is how long a peer must be seen ahead of us before Synced becomes False: under load a node is always
// a few operations behind for a moment, and that is no news.
const behindFor = 30 * time.Second

// noCommonProtocol is how a node words the refusal of a hello for its protocol versions.
const noCommonProtocol = "speaks protocol versions"

// facts is what is known of the key of one MeshPeer when its status is judged.
type facts struct {
	now     time.Time
	version string // our own software

	peer *mesh.Peer // nil: the node doesn't list it
	self *selfFacts // set for the node's own MeshPeer

	behindSince time.Time // zero: it is not behind
	first       string    // name of the MeshPeer that counts for this key, if it is another
	verdict     verdict   // what was made of spec.admitted
	ruling      Ruling    // of the mesh; zero: none
}

// selfFacts is what the node says of itself.
type selfFacts struct {
	zone        mesh.Zone
	incarnation mesh.Incarnation // 0: not chosen yet
	ready       bool
	stopped     bool
	behind      bool
}

// verdict is what became of an object's wish to be admitted.
type verdict struct{ reason, message string }

// judge says what the status of an object should be. It keeps of the old one what is not known any better: the
// instance of a peer that was heard in an earlier run, and the times of transitions.
func (f facts) judge(o *object) *status {
	s := &status{Status: mesh.Unknown, ObservedGeneration: o.generation, UpdateTime: stamp(f.now)}
	if old := o.status; old != nil {
		s.Zone, s.Version, s.Instance, s.LastSeen = old.Zone, old.Version, old.Instance, old.LastSeen
		s.bound()
	}
	switch {
	case o.keyErr != "":
		*s = status{Status: mesh.Unknown, ObservedGeneration: s.ObservedGeneration, UpdateTime: s.UpdateTime}
		s.unknown(ReasonInvalidKey, "The key is none: "+o.keyErr+".")
	case f.first != "":
		s.unknown(ReasonDuplicateKey, "MeshPeer "+f.first+" has the same key and is the one that counts.")
	case f.self != nil:
		f.judgeSelf(s)
	case f.peer != nil:
		f.judgePeer(s)
	case o.admitted && f.verdict.reason == ReasonAdmitted:
		s.unknown(ReasonNotHeardYet, sentences[ReasonNotHeardYet])
	case o.admitted:
		s.Status = mesh.Unavailable
		s.unknown(f.verdict.reason, f.verdict.message)
		s.set(Ready, "False", f.verdict.reason, f.verdict.message)
	default:
		const text = "The key is in no configuration and not admitted here; nobody talks to it."
		s.Status = mesh.Unavailable
		s.unknown(ReasonNotAdmitted, text)
		s.set(Ready, "False", ReasonNotAdmitted, text)
		s.set(Connected, "False", ReasonNotAdmitted, text)
	}
	f.rule(o, s)
	if f.verdict.reason == ReasonAdmitted && f.ruling.out() {
		s.set(AdmittedHere, "False", f.ruling.Reason, f.ruling.Message+" spec.admitted changes nothing.")
	} else if f.verdict.reason == ReasonAdmitted {
		s.set(AdmittedHere, "True", ReasonAdmitted, f.verdict.message)
	} else if f.verdict.reason != "" {
		s.set(AdmittedHere, "False", f.verdict.reason, f.verdict.message)
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		old := o.status.condition(c.Type)
		c.LastTransitionTime = s.UpdateTime
		if old.Status == c.Status && !stamped(old.LastTransitionTime).IsZero() {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	return s
}

func (f facts) judgePeer(s *status) {
	p := f.peer
	s.Status = p.State
	if p.Zone != "" {
		s.Zone = string(p.Zone)
	}
	if p.Version != nil {
		s.Version = clip(*p.Version, maxVersion)
	}
	if p.LastSeen != nil {
		s.LastSeen = stamp(*p.LastSeen)
	}
	if p.Incarnation != nil && s.Zone != "" {
		s.Instance = newInstance(mesh.Zone(s.Zone), mesh.Incarnation(p.Incarnation.UnixMilli()))
	}
	linked := p.Transport != nil
	reason := ReasonHeartbeatsHeard
	if linked {
		reason = ReasonConnected
	}
	if len(p.Reasons) > 0 && p.State != mesh.Ready {
		reason = p.Reasons[0]
	}
	switch p.State {
	case mesh.Ready:
		text := "Operations flow over a direct connection."
		if !linked {
			text = "The node is heard through others; there is no direct connection."
		}
		s.set(Ready, "True", reason, text)
	case mesh.NotReady, mesh.Unavailable:
		s.set(Ready, "False", reason, explain(reason))
	default:
		s.Status = mesh.Unknown
		s.set(Ready, "Unknown", ReasonNotHeardYet, explain(ReasonNotHeardYet))
	}
	switch {
	case linked:
		s.set(Connected, "True", ReasonConnected, "There is a direct connection.")
	case p.LastError != "":
		s.set(Connected, "False", ReasonNotConnected, "The last attempt ended with: "+clip(strings.TrimRight(p.LastError, "."), maxSentence)+".")
	default:
		s.set(Connected, "False", ReasonNotConnected, "There is no direct connection.")
	}
	switch {
	case p.LagOperations == nil:
		s.set(Synced, "Unknown", ReasonNotComparedYet, "It is not known yet what this node holds.")
	case *p.LagOperations > 0 && !f.behindSince.IsZero() && f.now.Sub(f.behindSince) >= behindFor:
		s.set(Synced, "False", ReasonBehind, "Operations that this node announced are missing here.")
	default:
		s.set(Synced, "True", ReasonInSync, "Everything that this node announced is held here.")
	}
	switch {
	case !linked && strings.Contains(p.LastError, noCommonProtocol):
		s.set(VersionCompatible, "False", ReasonNoCommonProtocol, "The node speaks no protocol version that this one speaks.")
	case s.Version == "":
		s.set(VersionCompatible, "Unknown", ReasonVersionUnknown, "It is not known what software this node runs.")
	case s.Version != clip(f.version, maxVersion):
		s.set(VersionCompatible, "True", ReasonOtherVersion, "The node runs another version, which speaks the same protocol.")
	default:
		s.set(VersionCompatible, "True", ReasonSameVersion, "Both run the same version.")
	}
}

// judgeSelf describes the node itself. An incarnation is never lowered: a higher one is of another store of this
// zone, and this node has to see it to choose its own above it.
func (f facts) judgeSelf(s *status) {
	me := f.self
	s.Zone, s.Version, s.LastSeen = string(me.zone), clip(f.version, maxVersion), s.UpdateTime
	if old := s.Instance; me.incarnation != 0 &&
		(old == nil || old.Zone != s.Zone || old.StartTimestamp < uint64(me.incarnation)) {
		s.Instance = newInstance(me.zone, me.incarnation)
	}
	switch {
	case me.stopped:
		s.Status = mesh.NotReady
		s.set(Ready, "False", ReasonStopped, "The controller of this cluster was stopped.")
		s.set(Connected, "False", ReasonStopped, "The controller of this cluster was stopped.")
	case me.ready:
		s.Status = mesh.Ready
		s.set(Ready, "True", ReasonRunning, "This is the node of this cluster.")
		s.set(Connected, "True", ReasonSelf, "This is the node of this cluster.")
	default:
		s.Status = mesh.NotReady
		s.set(Ready, "False", ReasonStarting, "This is the node of this cluster, and it is not ready yet.")
		s.set(Connected, "True", ReasonSelf, "This is the node of this cluster.")
	}
	if me.behind {
		s.set(Synced, "False", ReasonBehind, "Operations that other nodes announced are missing here.")
	} else {
		s.set(Synced, "True", ReasonInSync, "Everything that other nodes announced is held here.")
	}
	s.set(VersionCompatible, "True", ReasonSameVersion, "This is the node of this cluster.")
}

// bound drops what an old status says that can't be kept as it is.
func (s *status) bound() {
	s.Zone, s.Version = clip(s.Zone, 63), clip(s.Version, maxVersion)
	if stamped(s.LastSeen).IsZero() {
		s.LastSeen = ""
	}
	if i := s.Instance; i != nil {
		if _, err := mesh.ParseZone(i.Zone); err != nil || i.StartTimestamp > uint64(mesh.MaxIncarnation) {
			s.Instance = nil
			return
		}
		s.Instance = newInstance(mesh.Zone(i.Zone), mesh.Incarnation(i.StartTimestamp))
	}
}

func newInstance(zone mesh.Zone, i mesh.Incarnation) *instance {
	return &instance{
		Zone: string(zone), StartTimestamp: uint64(i),
		StartTime: time.UnixMilli(int64(i)).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
}

// set adds or replaces a condition.
func (s *status) set(kind, value, reason, message string) {
	c := condition{Type: kind, Status: value, Reason: reason, Message: message}
	if i := slices.IndexFunc(s.Conditions, func(c condition) bool { return c.Type == kind }); i >= 0 {
		s.Conditions[i] = c
		return
	}
	s.Conditions = append(s.Conditions, c)
}

// unknown says for one reason of everything that it is not known.
func (s *status) unknown(reason, message string) {
	for _, kind := range []string{Ready, Connected, Synced, VersionCompatible} {
		s.set(kind, "Unknown", reason, message)
	}
}

func explain(reason string) string {
	if s := sentences[reason]; s != "" {
		return s
	}
	return "The node doesn't answer."
}

// change says how much a new status differs from what stands there.
type change int

const (
	same    change = iota // but for the time of writing
	refresh               // only what is renewed once a minute
	news                  // a transition
)

// compare weighs the difference. Synced goes to and fro under load, so only its first answer is news.
func compare(o *object, s *status) change {
	old := o.status
	if old == nil || o.odd {
		return news
	}
	if old.Status != s.Status || old.Zone != s.Zone || old.Version != s.Version ||
		old.ObservedGeneration != s.ObservedGeneration || len(old.Conditions) != len(s.Conditions) ||
		(old.Instance == nil) != (s.Instance == nil) || s.Instance != nil && *old.Instance != *s.Instance {
		return news
	}
	diff := same
	if old.LastSeen != s.LastSeen {
		diff = refresh
	}
	for i, c := range s.Conditions {
		was := old.Conditions[i]
		if was == c {
			continue
		}
		diff = max(diff, refresh)
		if was.Type == c.Type && c.Type == Synced && was.Status != "Unknown" && was.Status != "" {
			continue
		}
		if was.Type != c.Type || was.Status != c.Status || was.Reason != c.Reason ||
			was.LastTransitionTime != c.LastTransitionTime {
			return news
		}
	}
	return diff
}
