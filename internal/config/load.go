package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a file. The largest mesh that was simulated needs a tenth of that size; nothing that is read
// lies deeper than mesh.resources[].namespaces[].
const (
	maxFileBytes = 1 << 20
	maxDepth     = 16
)

// Options say where to look for values.
type Options struct {
	// Path is the file given by flag. Empty: the variable MESH_CONFIG, then ./config.yaml, then
	// mesh/config.yaml in the user's configuration folder. Only a file that was named has to exist.
	Path string
	// Environ are the variables as NAME=value, as os.Environ returns them. The last of a name counts.
	Environ []string
	// Overrides are values given by flag.
	Overrides []Override
	// Peers are values KEY@HOST:PORT of the flag --peer. They are added to the configured nodes; for a key that
	// is configured they replace the endpoints.
	Peers []string
	// RequireZone reports a missing mesh.zone as a problem.
	RequireZone bool
	// CheckLogLevel says what is wrong with a log filter. Nil: not checked.
	CheckLogLevel func(filter string) error
}

// Override is a value given by flag.
type Override struct {
	Key    string   // such as "mesh.zone"
	Origin string   // the flag, such as "--zone"
	Values []string // one, or the entries of a list of texts
}

// Warning is a sentence for the operator.
type Warning string

// FileError reports a configuration file that cannot be read.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("read %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Load reads and checks the configuration. The error is a *FileError, or an *Error with all problems.
func Load(o Options) (*Config, []Warning, error) {
	env := parseEnviron(o.Environ)
	path, data, err := readFile(o.Path, env)
	if err != nil {
		return nil, nil, err
	}
	l := &loader{cfg: Default(), table: table, checkLogLevel: o.CheckLogLevel}
	l.cfg.File = path
	if path != "" {
		l.file(path, data)
	}
	l.environment(env)
	for _, v := range o.Overrides {
		l.override(v)
	}
	l.peers(o.Peers)
	key, given := env[keyVariable]
	l.keySource(key, given)
	l.check(o.RequireZone)
	if err := l.err(); err != nil {
		return nil, l.warnings, err
	}
	return l.cfg, l.warnings, nil
}

// loader gathers values and problems over all layers.
type loader struct {
	cfg           *Config
	table         []Key // the table of keys; a field, because its own readers look into it for suggestions
	checkLogLevel func(string) error
	problems      []Problem
	more          int  // problems beyond those
	unread        bool // the file is there and its values are not known
	warnings      []Warning
}

// warn adds a warning once.
func (l *loader) warn(text string) {
	if w := Warning(text); !slices.Contains(l.warnings, w) {
		l.warnings = append(l.warnings, w)
	}
}

// readFile finds and reads the file; an empty path means that there is none.
func readFile(named string, env map[string]string) (string, []byte, error) {
	if named = cmp.Or(named, env["MESH_CONFIG"]); named != "" {
		data, err := readRegular(named)
		return named, data, err
	}
	for _, path := range defaultFiles(env) {
		if _, err := os.Stat(path); err != nil {
			continue // absent, or below a folder that is closed to us, as a home folder can be in a container
		}
		data, err := readRegular(path)
		return path, data, err
	}
	return "", nil, nil
}

// defaultFiles lists where a file is looked for. A relative XDG_CONFIG_HOME counts as unset, as its
// specification demands.
func defaultFiles(env map[string]string) []string {
	files := []string{"config.yaml"}
	home := env["XDG_CONFIG_HOME"]
	if !filepath.IsAbs(home) {
		home = ""
		if h := env["HOME"]; filepath.IsAbs(h) {
			home = filepath.Join(h, ".config")
		}
	}
	if home != "" {
		files = append(files, filepath.Join(home, "mesh", "config.yaml"))
	}
	return files
}

// readRegular reads a regular file of bounded size: a pipe would block, a device would never end.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &FileError{path, errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if len(data) > maxFileBytes {
		return nil, &FileError{path, fmt.Errorf("larger than %d bytes", maxFileBytes)}
	}
	return data, nil
}

// fileError drops the path from the cause: it is told already.
func fileError(path string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return &FileError{path, err}
}

// file reads the bytes of a configuration file.
func (l *loader) file(name string, data []byte) {
	r := &reader{loader: l, layer: FromFile, name: name, lines: splitLines(data)}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return
	case err != nil:
		l.unread = true
		r.fail(r.blamed(err), "", syntax(err))
		return
	}
	switch err := d.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		l.unread = true
		r.fail(r.blamed(err), "", syntax(err))
		return
	default:
		r.fail(&more, "", "a second document; a configuration is one")
	}
	if len(doc.Content) != 1 {
		return
	}
	if l.unread = !r.tree(&doc, 0); !l.unread {
		r.root(doc.Content[0])
	}
}

func (r *reader) root(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	r.section(n, "")
}

// tree refuses what no configuration needs, before anything is interpreted.
func (r *reader) tree(n *yaml.Node, depth int) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return r.fail(n, "", "anchors and aliases are not possible here; write the value out")
	}
	if depth > maxDepth {
		return r.fail(n, "", fmt.Sprintf("nested deeper than %d levels", maxDepth))
	}
	ok := true
	for _, c := range n.Content {
		ok = r.tree(c, depth+1) && ok
	}
	return ok
}

// blamed makes a node of the line that a syntax error of the YAML parser names.
func (r *reader) blamed(err error) *yaml.Node {
	line := 1
	if _, rest, ok := strings.Cut(err.Error(), "line "); ok {
		digits, _, _ := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(digits); err == nil {
			line = min(max(n, 1), max(len(r.lines), 1))
		}
	}
	return &yaml.Node{Line: line, Column: 1}
}

// syntax strips the parser's own prefix and position from its error.
func syntax(err error) string {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(s, "line "); ok {
		if _, text, ok := strings.Cut(rest, ": "); ok {
			s = text
		}
	}
	return "no valid YAML: " + s
}

// override reads a value given by flag.
func (l *loader) override(v Override) {
	k, ok := lookup(v.Key)
	if !ok {
		panic(fmt.Sprintf("config: flag %s sets the unknown key %q", v.Origin, v.Key))
	}
	r := &reader{loader: l, layer: FromFlag, name: v.Origin, literal: true}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range v.Values {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: s})
	}
	if !k.list && len(n.Content) == 1 {
		n = n.Content[0]
	}
	r.value(k, n)
}

// peers adds the peers given by flag.
func (l *loader) peers(list []string) {
	at := Origin{FromFlag, "--peer"}
	for _, s := range list {
		n, err := ParsePeer(s)
		if err != nil {
			l.report(mark{origin: at}, "nodes", err.Error(), "")
			continue
		}
		if old := l.cfg.origins["nodes"]; old.Layer == FromDefault {
			l.cfg.origins["nodes"] = at
		} else if !strings.Contains(old.Name, at.Name) {
			l.cfg.origins["nodes"] = Origin{old.Layer, old.Name + " and flag " + at.Name}
		}
		l.addPeer(n, at)
	}
}

// addPeer adds one peer. Endpoints of an earlier --peer for the same key stay, configured ones go.
func (l *loader) addPeer(n Node, at Origin) {
	for i := range l.cfg.Nodes {
		old := &l.cfg.Nodes[i]
		if old.Key != n.Key {
			continue
		}
		where := fmt.Sprintf("nodes[%d].endpoints", i)
		if l.cfg.marks[where].origin == at {
			old.Endpoints = append(old.Endpoints, n.Endpoints...)
		} else {
			old.Endpoints = n.Endpoints
			l.cfg.marks[where] = mark{origin: at}
		}
		return
	}
	path := fmt.Sprintf("nodes[%d]", len(l.cfg.Nodes))
	for _, field := range []string{"", ".public_key", ".endpoints", ".zone", ".allow"} {
		l.cfg.marks[path+field] = mark{origin: at}
	}
	l.cfg.Nodes = append(l.cfg.Nodes, n)
}

// podAPI is where the API of a node in a pod listens beside its socket: a port-forward comes to the pod's loopback
// address, as that of kubectl mesh does.
const podAPI = "127.0.0.1:3001"

// check looks at the values together.
func (l *loader) check(requireZone bool) {
	c := l.cfg
	l.checkNodes()
	l.checkKubernetes()
	l.checkResources()
	if at := "discovery.mdns"; c.Kubernetes.InCluster && c.origins[at].Layer == FromDefault {
		c.Discovery.MDNS = false // the network of pods carries no multicast, and it is shared with others
	}
	if at := "api.listen"; c.Kubernetes.InCluster && c.origins[at].Layer == FromDefault {
		c.API.Listen = podAPI
	}
	if requireZone && c.Mesh.Zone == "" && c.Join.TokenFile == "" && !l.reported("mesh.zone") && !l.unread {
		l.failAt("mesh.zone", "missing; a node needs the name of its zone")
	}
	if c.BindPort == c.HTTPBindPort && c.BindPort != 0 {
		at := "http_bind_port"
		if c.origins[at].Layer == FromDefault {
			at = "bind_port"
		}
		l.failAt(at, fmt.Sprintf("bind_port and http_bind_port are both %d, and both use TCP", c.BindPort))
	}
	if c.Admission == Open {
		l.warn("admission is open: whoever can reach this node may read and write everything; use it for demos only")
	}
	if c.Mesh.PeerUnavailableAfter < 3*c.Heartbeat {
		l.warn("mesh.peer_timeout.peer_unavailable_after_seconds is less than three heartbeats: peers will seem unavailable that are not")
	}
}
