package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Node is a known and thereby admitted peer, or this node itself: one list may serve all nodes.
type Node struct {
	Key       keys.Public
	Endpoints []Endpoint // none: it has to dial us
	Zone      mesh.Zone  // empty: its first operation decides
	// Allow says which objects of its zone are applied here; of this node itself: which it publishes. Nil: all that
	// mesh.resources lets in and out.
	Allow *mesh.Allow
}

// Endpoint is where a node can be reached.
type Endpoint struct {
	Host string // an IP address or a lower-case DNS name, without brackets
	Port uint16 // 0 only where the port is the one bound
}

// Addr returns the host as an address, if it is one and no name.
func (e Endpoint) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(e.Host)
	return a, err == nil
}

// String returns HOST:PORT with IPv6 in brackets, without the port if it is 0.
func (e Endpoint) String() string {
	s := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	if e.Port == 0 {
		return strings.TrimSuffix(s, ":0")
	}
	return s
}

// ParseEndpoint reads HOST:PORT or HOST, IPv6 in brackets; port is used where s names none.
func ParseEndpoint(s string, port uint16) (Endpoint, error) {
	host, rest := s, ""
	switch {
	case strings.Contains(s, "://"):
		return Endpoint{}, fmt.Errorf("%q is a URL; want HOST:PORT", clip(s))
	case strings.HasPrefix(s, "["):
		var closed bool
		host, rest, closed = strings.Cut(s[1:], "]")
		if ip, err := netip.ParseAddr(host); !closed || err != nil || !ip.Is6() || rest != "" && rest[0] != ':' {
			return Endpoint{}, fmt.Errorf("%q: want an IPv6 address in the brackets, then :PORT", clip(s))
		}
	case strings.Count(s, ":") > 1:
		return Endpoint{}, fmt.Errorf("%q: want HOST:PORT, with an IPv6 address in brackets", clip(s))
	default:
		host, rest = s, ""
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, rest = s[:i], s[i:]
		}
	}
	host, err := checkHost(host)
	if err != nil {
		return Endpoint{}, err
	}
	if rest != "" {
		n, err := strconv.ParseUint(rest[1:], 10, 16)
		if err != nil || n == 0 {
			return Endpoint{}, fmt.Errorf("port %q: want a number from 1 to 65535", clip(rest[1:]))
		}
		port = uint16(n)
	}
	return Endpoint{Host: host, Port: port}, nil
}

// checkHost returns the one spelling of a host that can be dialled.
func checkHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		switch {
		case ip.Zone() != "":
			return "", fmt.Errorf("host %q: an address of one link cannot be reached from elsewhere", clip(host))
		case ip.IsUnspecified():
			return "", fmt.Errorf("host %q stands for all addresses; want one", clip(host))
		case ip.IsMulticast():
			return "", fmt.Errorf("host %q is a multicast address", clip(host))
		}
		return ip.String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if len(name) > 253 || !isHostName(name) {
		return "", fmt.Errorf("host %q is no IP address and no DNS name", clip(host))
	}
	return name, nil
}

// isHostName wants labels of letters, digits, - and _ (which container networks use). A name whose last label
// is a number is an IP address gone wrong.
func isHostName(name string) bool {
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// bracketed suggests brackets around a bare IPv6 address.
func bracketed(s string, port uint16) string {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() && ip.Zone() == "" {
		return Endpoint{ip.String(), port}.String()
	}
	return ""
}

// ParsePeer reads KEY@HOST:PORT.
func ParsePeer(s string) (Node, error) {
	key, endpoint, ok := strings.Cut(s, "@")
	if !ok {
		return Node{}, fmt.Errorf("%q: want KEY@HOST:PORT", clip(s))
	}
	k, err := parseKey(key)
	if err != nil {
		return Node{}, err
	}
	e, err := ParseEndpoint(endpoint, DefaultPort)
	if err != nil {
		return Node{}, err
	}
	return Node{Key: k, Endpoints: []Endpoint{e}}, nil
}

// parseKey is keys.ParsePublic with a hint for what people confuse with a public key.
func parseKey(s string) (keys.Public, error) {
	if strings.HasPrefix(s, "12D3Koo") {
		return keys.Public{}, fmt.Errorf("this is a peer id; want the public key, %d hex digits", 2*keys.PublicSize)
	}
	k, err := keys.ParsePublic(s)
	if err != nil {
		return keys.Public{}, errors.New(strings.TrimPrefix(err.Error(), "public key: "))
	}
	return k, nil
}

var nodeList = codec{
	typ: "list", list: true,
	read: func(r *reader, n *yaml.Node, path string) bool {
		var out []Node
		ok := r.each(n, path, maxNodes, func(n *yaml.Node, path string) bool {
			r.mark(n, path)
			node, ok := r.node(n, path)
			out = append(out, node)
			return ok
		})
		r.cfg.Nodes = out // with what is wrong in it, for checkNodes to find what else is
		return ok
	},
	show: func(c *Config) []string {
		var out []string
		for _, n := range c.Nodes {
			s := fmt.Sprintf("{public_key: %q", n.Key)
			if len(n.Endpoints) > 0 {
				s += ", endpoints: [" + strings.Join(showEndpoints(n.Endpoints), ", ") + "]"
			}
			if n.Zone != "" {
				s += ", zone: " + quote(string(n.Zone))
			}
			if n.Allow != nil {
				s += ", allow: " + showAllow(n.Allow)
			}
			out = append(out, s+"}")
		}
		return out
	},
}

func (r *reader) node(n *yaml.Node, path string) (Node, bool) {
	var node Node
	given := false
	ok := r.mapping(n, path, []string{"public_key", "endpoints", "zone", "allow"}, func(name string, v *yaml.Node) (ok bool) {
		at := join(path, name)
		r.mark(v, at)
		switch name {
		case "public_key":
			given = true
			// Digits alone would be a number to YAML; what counts is what is written.
			s, ok := r.plain(v, "!!str", "!!int", "!!float")
			if !ok {
				return r.fail(v, at, fmt.Sprintf("want %d hex digits, got %s", 2*keys.PublicSize, told(v)))
			}
			k, err := parseKey(s)
			if err != nil {
				return r.fail(v, at, err.Error())
			}
			node.Key = k
			return true
		case "endpoints":
			node.Endpoints, ok = r.endpoints(v, at, DefaultPort)
		case "zone":
			node.Zone, ok = r.zone(v, at)
		case "allow":
			node.Allow, ok = r.allow(v, at)
		}
		return ok
	})
	if !given && n.Kind == yaml.MappingNode {
		ok = r.fail(n, path, "public_key is missing")
	}
	return node, ok
}

// checkNodes looks for what contradicts itself in the list as a whole.
func (l *loader) checkNodes() {
	byKey, byZone := map[keys.Public]string{}, map[mesh.Zone]string{}
	for i, n := range l.cfg.Nodes {
		path := fmt.Sprintf("nodes[%d]", i)
		if first, twice := byKey[n.Key]; twice {
			l.failAt(path+".public_key", fmt.Sprintf("%s has this key already", first))
		} else if !n.Key.IsZero() {
			byKey[n.Key] = path
		}
		if n.Zone == "" {
			continue
		}
		if first, twice := byZone[n.Zone]; twice {
			l.failAt(path+".zone", fmt.Sprintf("%s has zone %q already; one key speaks for one zone", first, n.Zone))
		}
		byZone[n.Zone] = path
	}
}

// CheckOwnKey refuses a configuration that contradicts itself about this node: the entry of its key, if there is one,
// may name no other zone than mesh.zone, and no other entry may name that one. A zero key is one that is still to be
// made. The error is an *Error.
func (c *Config) CheckOwnKey(own keys.Public) error {
	l := &loader{cfg: c}
	for i, n := range c.Nodes {
		path := fmt.Sprintf("nodes[%d]", i)
		switch {
		case n.Key == own && c.marks[path+".public_key"].origin.Layer == FromFlag:
			l.failAt(path+".public_key", "this is the key of this node itself; name only others")
		case n.Key == own && n.Zone != "" && n.Zone != c.Mesh.Zone:
			l.failAt(path+".zone", fmt.Sprintf("this is the entry of this node itself, whose zone is %q (mesh.zone)", c.Mesh.Zone))
		case n.Key != own && n.Zone != "" && n.Zone == c.Mesh.Zone:
			l.failAt(path+".zone", fmt.Sprintf("%q is the zone of this node itself (mesh.zone)", n.Zone))
		}
	}
	return l.err()
}
