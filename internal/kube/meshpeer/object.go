package meshpeer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// maxEndpoints and maxEndpoint are the caps of the definition: 253 bytes of a name, brackets, colon and port.
	maxEndpoints = 16
	maxEndpoint  = 262
	// maxStatus is far above any status of ours, in bytes of JSON. A larger one is replaced unread.
	maxStatus = 16 << 10
	// maxVersion bounds what a peer calls its software, in bytes.
	maxVersion = 64
)

// object is what is kept of one MeshPeer: nothing in it is larger than its cap, whatever stands in the cluster.
type object struct {
	name, uid, rv string
	generation    int64
	created       time.Time
	deleting      bool

	key         keys.Public
	keyErr      string // why there is no key
	endpoints   []string
	endpointErr string // why they are no addresses
	zone        mesh.Zone
	zoneErr     string
	admitted    bool

	status *status // nil: none that could be read
	odd    bool    // there is a status, and it says more or less than was read of it
}

// Admitted is a key that people admitted with a MeshPeer.
type Admitted struct {
	Key       keys.Public
	Zone      mesh.Zone // empty: its first operation decides
	Endpoints []string  // HOST:PORT; empty: it has to dial us
}

// readObject takes what matters out of an object as the API server sent it.
func readObject(u *unstructured.Unstructured) *object {
	o := &object{
		name: clip(u.GetName(), 253), uid: string(u.GetUID()), rv: u.GetResourceVersion(), generation: u.GetGeneration(),
		created: u.GetCreationTimestamp().Time, deleting: u.GetDeletionTimestamp() != nil,
	}
	raw, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "identity")
	identity, _ := raw.(map[string]any)
	text, _ := identity["publicKey"].(string)
	var err error
	if o.key, err = keys.ParsePublic(text); err != nil {
		o.keyErr = err.Error()
	}
	o.endpoints, err = readEndpoints(identity["endpoints"])
	if err != nil {
		o.endpointErr = err.Error()
	}
	o.admitted, _, _ = unstructured.NestedBool(u.Object, "spec", "admitted")
	if zone, _, _ := unstructured.NestedString(u.Object, "spec", "zone"); zone != "" {
		if o.zone, err = mesh.ParseZone(zone); err != nil {
			o.zoneErr = "spec.zone is no DNS label of at most 63 characters"
		}
	}
	o.status, o.odd = readStatus(u.Object["status"])
	return o
}

func readEndpoints(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, errors.New("endpoints are no list")
	}
	if len(list) > maxEndpoints {
		return nil, fmt.Errorf("%d endpoints, at most %d are taken", len(list), maxEndpoints)
	}
	out := make([]string, 0, len(list))
	for i, e := range list {
		s, _ := e.(string)
		if err := checkEndpoint(s); err != nil {
			return nil, fmt.Errorf("endpoint %d: %w", i+1, err)
		}
		out = append(out, strings.Clone(s)) // not a part of the whole object
	}
	return out, nil
}

// checkEndpoint wants HOST:PORT that can be dialled from another machine, IPv6 in brackets.
func checkEndpoint(s string) error {
	if len(s) > maxEndpoint {
		return fmt.Errorf("longer than %d bytes", maxEndpoint)
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return errors.New("no port; want HOST:PORT")
	}
	host, port := s[:i], s[i+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("no port from 1 to 65535; want HOST:PORT")
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(inner); err == nil {
		switch {
		case bracketed != ip.Is6():
			return errors.New("an IPv6 address stands in brackets, nothing else does")
		case ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast():
			return errors.New("an address that nobody can dial from elsewhere")
		}
		return nil
	}
	if len(host) > 253 || !isHostName(host) {
		return errors.New("neither an IP address nor a DNS name")
	}
	return nil
}

// isHostName wants labels of letters, digits, - and _. One whose last label is a number is an IP address gone wrong.
func isHostName(name string) bool {
	labels := strings.Split(strings.ToLower(name), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// status is the status of a MeshPeer. Times are RFC 3339 in whole seconds, as the API server keeps them.
type status struct {
	Status             mesh.PeerState `json:"status"`
	Zone               string         `json:"zone,omitempty"`
	Version            string         `json:"version,omitempty"`
	Instance           *instance      `json:"instance,omitempty"`
	LastSeen           string         `json:"lastSeen,omitempty"`
	UpdateTime         string         `json:"updateTime"`
	ObservedGeneration int64          `json:"observedGeneration,omitempty"`
	Conditions         []condition    `json:"conditions"`
}

// instance is one life of a node's store. The names are those of earlier releases, which others read.
type instance struct {
	Zone           string `json:"zone"`
	StartTime      string `json:"start_time"`
	StartTimestamp uint64 `json:"start_timestamp"` // ms since 1970
}

type condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"` // True, False, Unknown
	Reason             string `json:"reason,omitempty"`
	Message            string `json:"message,omitempty"`
	LastTransitionTime string `json:"lastTransitionTime,omitempty"`
}

// readStatus reads a status that anybody may have written. odd: it isn't what one of ours reads like.
func readStatus(v any) (s *status, odd bool) {
	if v == nil {
		return nil, false
	}
	b, err := json.Marshal(v)
	if err != nil || len(b) > maxStatus {
		return nil, true
	}
	s = &status{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, true
	}
	return s, !sameJSON(v, s)
}

// condition returns the one of a type; the zero value if there is none.
func (s *status) condition(kind string) condition {
	if s != nil {
		for _, c := range s.Conditions {
			if c.Type == kind {
				return c
			}
		}
	}
	return condition{}
}

func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// stamped is the zero time for what is no time.
func stamped(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
