package config_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
)

// Public keys of the RFC 8032 test vectors 1 to 3.
const (
	key1 = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	key2 = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	key3 = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
)

// loadText loads a file called config.yaml with the given text.
func loadText(t testing.TB, text string, o config.Options) (*config.Config, []config.Warning, error) {
	t.Helper()
	o.Path = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(o.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, w, err := config.Load(o)
	if ce := (*config.Error)(nil); errors.As(err, &ce) {
		ce.File = "config.yaml"
	}
	return c, w, err
}

func mustLoad(t testing.TB, text string, o config.Options) *config.Config {
	t.Helper()
	c, _, err := loadText(t, text, o)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

func TestLoadEveryKind(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
bind_port: 9200
http_bind_port: 0
bind_address: ["127.0.0.1", "::1", "127.0.0.1"]
http_bind_address: "::"
network_id: test net
private_key_path: "keys/node.hex"
nodes:
  - public_key: `+key1+`
    endpoints: [West.Example, "192.0.2.1:1", "[2001:DB8::1]", "[2001:db8::1]:9102", my_host:80]
    zone: west
  - {public_key: `+strings.ToUpper(key2)+`}
admission: open
heartbeat_interval_seconds: 0.25
gossip: false
advertise: [east.example, "east.example:9"]
data_dir: /var/lib/mesh
kubernetes: {external: {kube_context: prod}, namespace: mesh-system, qps: 12.5, burst: 30}
mesh:
  zone: east
  on_conflict: oldest
  drift: observe
  resources:
    - {version: v1, kind: ConfigMap, plural: configmaps, selector: "tier in (web, api),!x", status: true, recreate: TRUE,
       ignore: [/spec/replicas, "/metadata/annotations/example.org~1x", /data/*, /data/*], include_controlled: true, create_namespaces: true}
  bootstrap: true
  delete_brake: {min: 3, share: 1, window_seconds: 60}
  snapshot: {snapshot_interval_seconds: 10, snapshot_max_log: 20}
  tombstone: {tombstone_retention_interval_seconds: 0}
  peer_timeout: {peer_unavailable_after_seconds: 30}
protocol: {resync_interval_seconds: 1.5}
api: {listen: "127.0.0.1:3001"}
metrics: {max_zones: 8}
log_format: json
log_level: mesh=DEBUG
`, config.Options{RequireZone: true})
	if c.BindPort != 9200 || c.HTTPBindPort != 0 || c.NetworkID != "test net" || c.Gossip || c.Admission != config.Open {
		t.Errorf("simple values: %+v", c)
	}
	if want := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}; !slices.Equal(c.BindAddress, want) {
		t.Errorf("BindAddress = %v, want %v", c.BindAddress, want)
	}
	if got := fmt.Sprint(c.Nodes[0].Endpoints); got != "[west.example:9102 192.0.2.1:1 [2001:db8::1]:9102 my_host:80]" {
		t.Errorf("Endpoints = %s", got)
	}
	if c.Nodes[0].Zone != "west" || c.Nodes[1].Key.String() != key2 || len(c.Nodes) != 2 {
		t.Errorf("Nodes = %v", c.Nodes)
	}
	if got := fmt.Sprint(c.Advertise); got != "[east.example east.example:9]" {
		t.Errorf("Advertise = %s", got)
	}
	if c.Heartbeat != 250*time.Millisecond || c.Protocol.ResyncInterval != 1500*time.Millisecond || c.Mesh.TombstoneRetention != 0 {
		t.Errorf("durations: %v, %v, %v", c.Heartbeat, c.Protocol.ResyncInterval, c.Mesh.TombstoneRetention)
	}
	if b := c.Mesh.Brake; b.Min != 3 || b.Share != 1 || b.Window != time.Minute {
		t.Errorf("Brake = %+v", b)
	}
	if k := c.Kubernetes; !k.Connects() || k.Context != "prod" || k.Namespace != "mesh-system" || k.QPS != 12.5 || k.Burst != 30 || k.InCluster {
		t.Errorf("Kubernetes = %+v", k)
	}
	r := c.Mesh.Resources[0]
	if r.Plural != "configmaps" || r.Selector != "tier in (web, api),!x" || !r.Status || !r.Recreate || !r.IncludeControlled || !r.CreateNamespaces {
		t.Errorf("Resources[0] = %+v", r)
	}
	if got := strings.Join(r.Ignore, " "); got != "/spec/replicas /metadata/annotations/example.org~1x /data/*" || c.Mesh.Drift != config.Observe {
		t.Errorf("Ignore = %s, Drift = %s", got, c.Mesh.Drift)
	}
	if c.Key.Path != "keys/node.hex" || c.Origin("private_key_path").String() != fmt.Sprintf("file %s:7", c.File) {
		t.Errorf("Key = %v from %v", c.Key, c.Origin("private_key_path"))
	}
}

func TestEmptyFilesAreDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "null", "mesh:\nnodes:\nbind_port:\n", "\ufeffmesh:\n", "mesh: {zone: }\r\n"} {
		c, w, err := loadText(t, text, config.Options{})
		if err != nil || len(w) > 0 {
			t.Errorf("load %q: %v, warnings %v", text, err, w)
			continue
		}
		if a, b := config.Changes(config.Default(), c); len(a)+len(b) > 0 {
			t.Errorf("load %q: %v %v differ from the defaults", text, a, b)
		}
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := "bind_port: 1\nnetwork_id: file\nlog_level: ERROR\nnodes: [{public_key: " + key1 + ", endpoints: [a.example, b.example]}]\n"
	env := []string{
		"MESH_NETWORK_ID=123", "MESH_LOG_LEVEL==TRACE", "MESH_MESH__ZONE=env", "MESH_DATA_DIR=", "MESH_GOSSIP=false",
		`MESH_ADVERTISE=["[::1]:80", a.example]`, "MESH_MESH__RESOURCE={kind: Secret, version: v1}", "MESH_HEARTBEAT_INTERVAL_SECONDS=1",
	}
	c := mustLoad(t, file, config.Options{
		Environ: env,
		Overrides: []config.Override{
			{Key: "log_level", Origin: "--log-level", Values: []string{"DEBUG"}},
			{Key: "bind_port", Origin: "--bind-port", Values: []string{"2"}},
			{Key: "bind_address", Origin: "--bind-address", Values: []string{"::1"}},
		},
		Peers: []string{key1 + "@c.example", key1 + "@d.example:1", key2 + "@e.example"},
	})
	for key, want := range map[string]string{
		"log_level": "flag --log-level", "bind_port": "flag --bind-port", "network_id": "environment MESH_NETWORK_ID",
		"mesh.zone": "environment MESH_MESH__ZONE", "data_dir": "default", "mesh.resource": "environment MESH_MESH__RESOURCE",
		"nodes": "file " + c.File + ":4 and flag --peer", "bind_address": "flag --bind-address",
	} {
		if got := c.Origin(key).String(); got != want {
			t.Errorf("Origin(%s) = %s, want %s", key, got, want)
		}
	}
	if c.BindPort != 2 || c.NetworkID != "123" || c.LogLevel != "DEBUG" || c.Gossip || c.DataDir != ".mesh" || c.Mesh.Zone != "env" {
		t.Errorf("values: %+v", c)
	}
	if got := fmt.Sprint(c.Advertise, c.Mesh.Resources); got != "[[::1]:80 a.example] [Secret]" {
		t.Errorf("lists: %s", got)
	}
	if got := fmt.Sprint(c.Nodes[0].Endpoints, c.Nodes[1].Endpoints); got != "[c.example:9102 d.example:1] [e.example:9102]" {
		t.Errorf("peers: %s", got)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	_, w, err := loadText(t, "", config.Options{Environ: []string{
		"MESH_CONFIG=/nowhere", "MESH_NODE=unix:x", "MESH_SERVICE_HOST=10.0.0.1", "MESH_PORT=tcp://x", "MESH_PORT_80_TCP=y",
		"MESHES=1", "mesh_zone=x", "MESH_ZONE=east", "MESH_BINDPORT=1", "MESH_HTTP_PORT_80=1",
	}})
	want := "no key of the configuration has the variable MESH_BINDPORT (did you mean MESH_BIND_PORT?), MESH_HTTP_PORT_80, MESH_ZONE"
	if err != nil || len(w) != 1 || string(w[0]) != want {
		t.Errorf("Load = %q, %v, want the one warning\n%s", w, err, want)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	text := `
admission: open
heartbeat_interval_seconds: 50
protocol: {poll_interval_seconds: 3}
console: {enable: true}
mesh:
  resource: {group: dcp.hiro.io, version: v1, kind: AnyApplication, namespace: default, merge_strategy: anyapplication}
  resources:
    - {version: v1, kind: Pod}
`
	c, w, err := loadText(t, text, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%q", w)
	for _, want := range []string{
		"protocol.poll_interval_seconds has no effect and can be removed (file " + c.File + ":4)", "console.enable has no effect",
		"admission is open", "less than three heartbeats",
		`mesh.resource (AnyApplication.dcp.hiro.io) is not replicated: merge strategy \"anyapplication\" is not supported; supported is: default`,
		"mesh.resources[0] (Pod) is not replicated: every cluster makes its own objects of kind Pod",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("warnings %s lack %q", got, want)
		}
	}
	if len(w) != 6 {
		t.Errorf("%d warnings, want 6: %s", len(w), got)
	}
}

func TestKeySource(t *testing.T) {
	t.Parallel()
	const secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	flag := []config.Override{{Key: "private_key_path", Origin: "-k", Values: []string{"flag.key"}}}
	tests := []struct {
		name, file string
		env        []string
		flags      []config.Override
		want       string // path, or PRIVATE_KEY
		from       string
		warning    string
	}{
		{"default", "", nil, nil, "private.key", "default", ""},
		{"file", "private_key_path: f.key", nil, nil, "f.key", "file ", ""},
		{"variable beats file", "private_key_path: f.key", []string{"PRIVATE_KEY=" + secret}, nil, "PRIVATE_KEY [secret]", "environment PRIVATE_KEY", ""},
		{"variable beats path variable", "", []string{"PRIVATE_KEY=" + secret, "MESH_PRIVATE_KEY_PATH=e.key"}, nil,
			"PRIVATE_KEY [secret]", "environment PRIVATE_KEY", "MESH_PRIVATE_KEY_PATH is ignored: PRIVATE_KEY holds the key itself"},
		{"path variable", "private_key_path: f.key", []string{"MESH_PRIVATE_KEY_PATH=e.key"}, nil, "e.key", "environment MESH_PRIVATE_KEY_PATH", ""},
		{"flag beats all", "private_key_path: f.key", []string{"PRIVATE_KEY=" + secret}, flag, "flag.key", "flag -k", "PRIVATE_KEY is ignored: -k names the key file"},
	}
	for _, tt := range tests {
		c, w, err := loadText(t, tt.file, config.Options{Environ: tt.env, Overrides: tt.flags})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := c.Key.String(); got != tt.want || !strings.HasPrefix(c.Key.Origin.String(), tt.from) {
			t.Errorf("%s: key from %s (%s), want %s (%s)", tt.name, got, c.Key.Origin, tt.want, tt.from)
		}
		if got := strings.Trim(fmt.Sprint(w), "[]"); got != tt.warning {
			t.Errorf("%s: warning %q, want %q", tt.name, got, tt.warning)
		}
		if s, ok := c.Key.Secret(); ok != strings.Contains(tt.want, "secret") || ok && s != secret {
			t.Errorf("%s: Secret() = %q, %v", tt.name, s, ok)
		}
		var out strings.Builder
		if err := c.Print(&out); err != nil {
			t.Fatal(err)
		}
		if all := out.String() + fmt.Sprintf("%v %+v %#v", c, c.Key, c.Key); strings.Contains(all, secret) {
			t.Errorf("%s: the key was printed: %s", tt.name, all)
		}
	}
	_, _, err := loadText(t, "", config.Options{Environ: []string{"PRIVATE_KEY= "}})
	if err == nil || !strings.Contains(err.Error(), "PRIVATE_KEY the variable is set but empty") {
		t.Errorf("an empty PRIVATE_KEY: %v", err)
	}
}

func TestFileSearch(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	home, xdg := filepath.Join(dir, "home"), filepath.Join(dir, "xdg")
	named := filepath.Join(dir, "named.yaml")
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("network_id: test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(path string, env ...string) string {
		t.Helper()
		c, _, err := config.Load(config.Options{Path: path, Environ: env})
		if err != nil {
			return err.Error()
		}
		return c.File
	}
	if got := load(""); got != "" {
		t.Errorf("no file anywhere: %q", got)
	}
	inHome := filepath.Join(home, ".config", "mesh", "config.yaml")
	write(inHome)
	if got := load("", "HOME="+home, "XDG_CONFIG_HOME=relative"); got != inHome {
		t.Errorf("in the home folder: %q", got)
	}
	inXDG := filepath.Join(xdg, "mesh", "config.yaml")
	write(inXDG)
	if got := load("", "HOME="+home, "XDG_CONFIG_HOME="+xdg); got != inXDG {
		t.Errorf("in XDG_CONFIG_HOME: %q", got)
	}
	write("config.yaml")
	if got := load("", "HOME="+home); got != "config.yaml" {
		t.Errorf("in the working directory: %q", got)
	}
	if got := load("", "MESH_CONFIG="+named); got != "read "+named+": no such file or directory" {
		t.Errorf("a missing file named by MESH_CONFIG: %q", got)
	}
	write(named)
	if got := load("", "MESH_CONFIG="+named); got != named {
		t.Errorf("named by MESH_CONFIG: %q", got)
	}
	if got := load("config.yaml", "MESH_CONFIG="+named); got != "config.yaml" {
		t.Errorf("named by flag: %q", got)
	}
	if got := load(dir); got != "read "+dir+": not a regular file" {
		t.Errorf("a folder: %q", got)
	}
	if err := os.WriteFile(named, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	var fe *config.FileError
	if _, _, err := config.Load(config.Options{Path: named}); !errors.As(err, &fe) || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("an oversized file: %v", err)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	old := mustLoad(t, "log_level: INFO\nbind_port: 1\nmesh: {zone: east}\nnodes: [{public_key: "+key1+"}]\n", config.Options{})
	next := mustLoad(t, "log_level: DEBUG\nbind_port: 2\nmesh: {zone: west, resource: {kind: Secret, version: v1}}\nnodes: [{public_key: "+key1+", zone: x}]\n", config.Options{})
	reload, restart := config.Changes(old, next)
	if !slices.Equal(reload, []string{"nodes", "log_level"}) || !slices.Equal(restart, []string{"bind_port", "mesh.zone", "mesh.resource"}) {
		t.Errorf("Changes = %v, %v", reload, restart)
	}
	if a, b := config.Changes(next, next); a != nil || b != nil {
		t.Errorf("Changes of equal configurations = %v, %v", a, b)
	}
}

func TestCheckOwnKey(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "nodes:\n  - public_key: "+key1+"\n", config.Options{Peers: []string{key2 + "@a"}})
	own := func(s string) keys.Public {
		k, err := keys.ParsePublic(s)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if err := c.CheckOwnKey(own(key3)); err != nil {
		t.Errorf("a key that is not listed: %v", err)
	}
	if err := c.CheckOwnKey(own(key1)); err != nil {
		t.Errorf("own key in the file: %v", err)
	}
	if err := c.CheckOwnKey(own(key2)); err == nil || !strings.Contains(err.Error(), "--peer nodes[1].public_key: this is the key of this node itself") {
		t.Errorf("own key by flag: %v", err)
	}
}

func TestPrintLoadsAgain(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
network_id: "yes: \"no\" \U0001F600\u00a0#"
nodes: [{public_key: `+key1+`, endpoints: ["[::1]:1"], zone: "123"}, {public_key: `+key2+`, allow: {resources: [A.b, "C"], namespaces: []}}]
mesh:
  zone: "1e3"
  resources: [{version: v1, kind: Secret, namespaces: [a, "5"], selector: "a=b", ignore: ["/a~1b", "/*"], status: true, plural: "1x", recreate: true}, {group: apps, kind: Deployment, version: v1, direction: publish}]
  resource: {kind: ConfigMap, version: v1, merge_strategy: other}
`, config.Options{})
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, out.String(), config.Options{})
	if a, b := config.Changes(c, again); len(a)+len(b) > 0 {
		t.Errorf("%v %v differ after printing and loading\n%s", a, b, out.String())
	}
	for _, want := range []string{
		"# private key: private.key, from default\n", "bind_port: 9102  # from default\n",
		"network_id: \"yes: \\\"no\\\" 😀\\U000000a0#\"  # from file " + c.File + ":2\n", "\n  zone: \"1e3\"  # from file",
		"nodes:  # from file " + c.File + ":3\n  - {public_key: \"" + key1 + "\", endpoints: [\"[::1]:1\"], zone: \"123\"}\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Print lacks %q:\n%s", want, out.String())
		}
	}
}
