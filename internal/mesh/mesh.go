// Package mesh holds the nouns that every floor and every adapter speaks: zones, instances, logs, objects,
// versions and claims. It has no behaviour beyond parsing, ordering and printing them.
package mesh

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"lukechampine.com/blake3"

	"dcp.hiro.io/mesh/internal/keys"
)

// Hash is a BLAKE3-256 digest in default mode. The zero value means "none".
type Hash [32]byte

// Sum hashes the concatenation of its arguments.
func Sum(parts ...[]byte) Hash {
	if len(parts) == 1 {
		return blake3.Sum256(parts[0])
	}
	h := blake3.New(32, nil)
	for _, p := range parts {
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

// ParseHash reads 64 hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("hash: want %d hex digits", 2*len(h))
	}
	copy(h[:], b)
	return h, nil
}

func (h Hash) String() string               { return hex.EncodeToString(h[:]) }
func (h Hash) Short() string                { return hex.EncodeToString(h[:4]) }
func (h Hash) IsZero() bool                 { return h == Hash{} }
func (h Hash) Compare(o Hash) int           { return bytes.Compare(h[:], o[:]) }
func (h Hash) LogValue() slog.Value         { return slog.StringValue(h.Short()) }
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
func (h *Hash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHash(string(b))
	return err
}

// Zone names one cluster: a DNS label of 1 to 63 characters.
type Zone string

// ParseZone checks a zone name.
func ParseZone(s string) (Zone, error) {
	if !isDNSLabel(s) {
		return "", fmt.Errorf("zone %q: want a DNS label (a-z, 0-9 and -, 1 to 63 characters, no - at the ends)", s)
	}
	return Zone(s), nil
}

func isDNSLabel(s string) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// NetworkID isolates meshes from each other. It is no secret.
type NetworkID string

// MaxNetworkID is the longest network id accepted, in bytes.
const MaxNetworkID = 128

// Incarnation is one life of a node's store: the Unix time in milliseconds at which it was created, raised
// above every one known for the zone.
type Incarnation uint64

// MaxIncarnation is the last millisecond of the year 9999; above it an incarnation is refused.
const MaxIncarnation Incarnation = 253402300799999

// Instance is a zone in one incarnation. Each has a log of its own.
type Instance struct {
	Zone        Zone
	Incarnation Incarnation
}

func (i Instance) String() string { return fmt.Sprintf("%s@%d", i.Zone, i.Incarnation) }

// Topic names the log of one instance within a network.
type Topic Hash

// LogID is the p2panda log id of an instance, BLAKE3 of its topic.
type LogID Hash

func (l LogID) String() string       { return Hash(l).String() }
func (l LogID) LogValue() slog.Value { return Hash(l).LogValue() }

const topicDomain = "mesh log v1"

// TopicOf derives the topic of an instance: BLAKE3 over the domain, network id and zone, each preceded by
// its length as u32 BE, and the incarnation as u64 BE.
func TopicOf(n NetworkID, i Instance) Topic {
	b := make([]byte, 0, 128)
	for _, s := range []string{topicDomain, string(n), string(i.Zone)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(i.Incarnation))
	return Topic(Sum(b))
}

// LogIDOf derives the log id of an instance, as p2panda's Node API does from a topic.
func LogIDOf(n NetworkID, i Instance) LogID {
	t := TopicOf(n, i)
	return LogID(Sum(t[:]))
}

// LogKey identifies one log: logs are keyed by author and log id.
type LogKey struct {
	Author keys.Public
	Log    LogID
}

// Compare orders by author, then log id, bytewise: the order in which logs are synced.
func (k LogKey) Compare(o LogKey) int {
	if c := k.Author.Compare(o.Author); c != 0 {
		return c
	}
	return bytes.Compare(k.Log[:], o.Log[:])
}

// Version is a zone's own counter of changes. It orders changes of one zone, never across zones.
type Version uint64

// MaxVersion bounds versions: those of 2^62 and above are refused.
const MaxVersion Version = 1<<62 - 1

// Epoch grows by one each time ownership of an object moves.
type Epoch uint32

// MaxEpoch bounds epochs: those of 2^31 and above are refused.
const MaxEpoch Epoch = 1<<31 - 1

// ObjectKey names an object without its API version. Namespace is empty for cluster-scoped kinds, Group for
// the core group.
type ObjectKey struct {
	Group, Kind, Namespace, Name string
}

// Compare orders keys by group, kind, namespace and name: the key order of snapshots.
func (k ObjectKey) Compare(o ObjectKey) int {
	return cmp.Or(strings.Compare(k.Group, o.Group), strings.Compare(k.Kind, o.Kind),
		strings.Compare(k.Namespace, o.Namespace), strings.Compare(k.Name, o.Name))
}

// String is the form commands use: kind.group/namespace/name, without what is empty.
func (k ObjectKey) String() string {
	s := k.Kind
	if k.Group != "" {
		s += "." + k.Group
	}
	if k.Namespace != "" {
		s += "/" + k.Namespace
	}
	return s + "/" + k.Name
}

// Validate refuses keys that no API server would accept: empty or oversized parts, and names with path
// separators, control characters or dots only.
func (k ObjectKey) Validate() error {
	if k.Kind == "" || len(k.Kind) > 63 || !isWord(k.Kind) {
		return fmt.Errorf("object kind %q: want 1 to 63 letters and digits", k.Kind)
	}
	if len(k.Group) > 253 || !isPathSafe(k.Group) && k.Group != "" {
		return fmt.Errorf("object group %q: not a DNS subdomain", k.Group)
	}
	if k.Namespace != "" && !isDNSLabel(k.Namespace) {
		return fmt.Errorf("object namespace %q: not a DNS label", k.Namespace)
	}
	if k.Name == "" || len(k.Name) > 253 || !isPathSafe(k.Name) {
		return fmt.Errorf("object name %q: want 1 to 253 characters, none of them / or %%, and neither one dot nor two", k.Name)
	}
	return nil
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0) {
			return false
		}
	}
	return true
}

// isPathSafe is Kubernetes' path segment rule plus "UTF-8, nothing below space": RBAC names may hold colons, so a
// DNS rule would be too narrow.
func isPathSafe(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '/' || c == '\\' || c == '%' || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}
