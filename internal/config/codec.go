package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/mesh"
)

// codec reads and prints the value of one key.
type codec struct {
	typ  string
	list bool // a value is a list, or one entry, written in YAML also in the environment
	// read checks a node, which is not null, and stores its value, or reports problems and stores nothing.
	read func(r *reader, n *yaml.Node, path string) bool
	// show returns the value as YAML on one line: one element for a value, one per entry for a list, none where
	// there is no value.
	show func(c *Config) []string
}

func integer[T ~int | ~uint16 | ~uint64](low, high int64, field func(*Config) *T) codec {
	return codec{
		typ: fmt.Sprintf("number, %d to %d", low, high),
		read: func(r *reader, n *yaml.Node, path string) bool {
			s, ok := r.plain(n, "!!int")
			v, err := strconv.ParseInt(s, 10, 64)
			if !ok || err != nil || v < low || v > high {
				return r.fail(n, path, fmt.Sprintf("want a whole number from %d to %d, got %s", low, high, told(n)))
			}
			*field(r.cfg) = T(v)
			return true
		},
		show: func(c *Config) []string { return []string{fmt.Sprint(*field(c))} },
	}
}

// seconds reads a number of seconds with up to three decimals.
func seconds(low, high time.Duration, field func(*Config) *time.Duration) codec {
	bounds := fmt.Sprintf("%s to %s", inSeconds(low), inSeconds(high))
	return codec{
		typ: "seconds, " + bounds,
		read: func(r *reader, n *yaml.Node, path string) bool {
			f, ok := r.number(n)
			// Checked as a number first: what doesn't fit must not become a duration.
			if !ok || f < low.Seconds() || f > high.Seconds() {
				return r.fail(n, path, fmt.Sprintf("want a number of seconds from %s, got %s", bounds, told(n)))
			}
			*field(r.cfg) = time.Duration(math.Round(f*1000)) * time.Millisecond
			return true
		},
		show: func(c *Config) []string { return []string{inSeconds(*field(c))} },
	}
}

func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// number reads a number that may have decimals.
func number(low, high int, field func(*Config) *float64) codec {
	bounds := fmt.Sprintf("%d to %d", low, high)
	return codec{
		typ: "number, " + bounds,
		read: func(r *reader, n *yaml.Node, path string) bool {
			f, ok := r.number(n)
			if !ok || f < float64(low) || f > float64(high) {
				return r.fail(n, path, fmt.Sprintf("want a number from %s, got %s", bounds, told(n)))
			}
			*field(r.cfg) = f
			return true
		},
		show: func(c *Config) []string { return []string{strconv.FormatFloat(*field(c), 'f', -1, 64)} },
	}
}

func boolean(field func(*Config) *bool) codec {
	return codec{
		typ: "true or false",
		read: func(r *reader, n *yaml.Node, path string) bool {
			v, ok := r.truth(n, path)
			if ok {
				*field(r.cfg) = v
			}
			return ok
		},
		show: func(c *Config) []string { return []string{strconv.FormatBool(*field(c))} },
	}
}

func enum[T ~string](field func(*Config) *T, values ...T) codec {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	return codec{
		typ: want,
		read: func(r *reader, n *yaml.Node, path string) bool {
			v, ok := r.oneOf(n, path, want, names)
			if ok {
				*field(r.cfg) = T(v)
			}
			return ok
		},
		show: func(c *Config) []string { return []string{quote(string(*field(c)))} },
	}
}

// path reads the name of a file or folder.
func path(required bool, field func(*Config) *string) codec {
	return codec{
		typ: "path",
		read: func(r *reader, n *yaml.Node, path string) bool {
			s, ok := r.text(n, path)
			if !ok {
				return false
			}
			if required && s == "" {
				return r.fail(n, path, "want a path, got nothing")
			}
			*field(r.cfg) = s
			return true
		},
		show: func(c *Config) []string { return optional(*field(c)) },
	}
}

// keyPath is a path into which people paste the key itself. Such a value must not be repeated in an error.
var keyPath = codec{
	typ: "path",
	read: func(r *reader, n *yaml.Node, path string) bool {
		if looksSecret(n.Value) {
			return r.fail(n, path, "this looks like a private key; want the path of the file that holds it")
		}
		s, ok := r.text(n, path)
		if ok {
			r.cfg.PrivateKeyPath = s
		}
		return ok
	},
	show: func(c *Config) []string { return optional(c.PrivateKeyPath) },
}

var networkID = codec{
	typ: "text",
	read: func(r *reader, n *yaml.Node, path string) bool {
		s, ok := r.text(n, path)
		if !ok {
			return false
		}
		if len(s) < 1 || len(s) > mesh.MaxNetworkID {
			return r.fail(n, path, fmt.Sprintf("want 1 to %d bytes, got %d", mesh.MaxNetworkID, len(s)))
		}
		r.cfg.NetworkID = mesh.NetworkID(s)
		return true
	},
	show: func(c *Config) []string { return []string{quote(string(c.NetworkID))} },
}

var zoneName = codec{
	typ: "DNS label",
	read: func(r *reader, n *yaml.Node, path string) bool {
		z, ok := r.zone(n, path)
		if ok {
			r.cfg.Mesh.Zone = z
		}
		return ok
	},
	show: func(c *Config) []string { return optional(string(c.Mesh.Zone)) },
}

var logLevel = codec{
	typ: "log filter",
	read: func(r *reader, n *yaml.Node, path string) bool {
		s, ok := r.text(n, path)
		if !ok {
			return false
		}
		if r.checkLogLevel != nil {
			if err := r.checkLogLevel(s); err != nil {
				return r.fail(n, path, strings.TrimPrefix(err.Error(), "log filter: "))
			}
		}
		r.cfg.LogLevel = s
		return true
	},
	show: func(c *Config) []string { return []string{quote(c.LogLevel)} },
}

func address(field func(*Config) *netip.Addr) codec {
	return codec{
		typ: "IP address",
		read: func(r *reader, n *yaml.Node, path string) bool {
			a, ok := r.address(n, path)
			if ok {
				*field(r.cfg) = a
			}
			return ok
		},
		show: func(c *Config) []string { return []string{quote(field(c).String())} },
	}
}

// Most entries of the lists: a handful is usual, and each costs sockets, dials or comparisons.
const (
	maxAddresses  = 16
	maxEndpoints  = 16
	maxNodes      = 4096
	maxResources  = 1024
	maxNamespaces = 1024
	maxIgnored    = 256
)

func addresses(field func(*Config) *[]netip.Addr) codec {
	return codec{
		typ: "list of IP addresses", list: true,
		read: func(r *reader, n *yaml.Node, path string) bool {
			var out []netip.Addr
			ok := r.each(n, path, maxAddresses, func(n *yaml.Node, path string) bool {
				a, ok := r.address(n, path)
				if ok && !slices.Contains(out, a) {
					out = append(out, a)
				}
				return ok
			})
			if ok {
				*field(r.cfg) = out
			}
			return ok
		},
		show: func(c *Config) []string {
			var out []string
			for _, a := range *field(c) {
				out = append(out, quote(a.String()))
			}
			return out
		},
	}
}

func endpointList(field func(*Config) *[]Endpoint) codec {
	return codec{
		typ: "list of HOST:PORT", list: true,
		read: func(r *reader, n *yaml.Node, path string) bool {
			out, ok := r.endpoints(n, path, 0)
			if ok {
				*field(r.cfg) = out
			}
			return ok
		},
		show: func(c *Config) []string { return showEndpoints(*field(c)) },
	}
}

func showEndpoints(es []Endpoint) []string {
	var out []string
	for _, e := range es {
		out = append(out, quote(e.String()))
	}
	return out
}

// apiListen refuses addresses that others can reach: the local API asks for no password.
var apiListen = codec{
	typ: "unix:PATH or HOST:PORT",
	read: func(r *reader, n *yaml.Node, path string) bool {
		s, ok := r.text(n, path)
		if !ok {
			return false
		}
		if err := checkAPIListen(s); err != nil {
			return r.fail(n, path, err.Error())
		}
		r.cfg.API.Listen = s
		return true
	},
	show: func(c *Config) []string { return optional(c.API.Listen) },
}

func checkAPIListen(s string) error {
	if p, ok := strings.CutPrefix(s, "unix:"); ok {
		if p == "" {
			return errors.New("want unix: and a path")
		}
		return nil
	}
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("want unix:PATH or HOST:PORT, got %q", clip(s))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q: want a number from 0 to 65535", clip(port))
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("host %q: want localhost or a loopback address; whoever reaches the API controls the node", clip(host))
	}
	return nil
}

// ignored accepts any single value.
func ignored(typ string) codec {
	return codec{typ: typ, read: func(r *reader, n *yaml.Node, path string) bool {
		if n.Kind != yaml.ScalarNode {
			return r.fail(n, path, fmt.Sprintf("want %s, got %s", typ, told(n)))
		}
		r.warn(fmt.Sprintf("%s has no effect and can be removed (%s)", path, r.origin(n)))
		return true
	}}
}

// optional shows a text that may be absent.
func optional(s string) []string {
	if s == "" {
		return nil
	}
	return []string{quote(s)}
}
