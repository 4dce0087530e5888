package charttest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// use is what a test does with objects of an entry in one namespace.
type use struct {
	kind
	ns                   string
	receives, publishes  bool
	status, newNamespace bool // it replicates the status, and makes the namespace
}

// refusing has the API server refuse objects with the value refused, in namespaces that ask for it.
const refusing = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: refuse}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: ["*"], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: ["*"]}
  validations:
  - expression: "!has(object.metadata.annotations) || !('example.org/value' in object.metadata.annotations) || object.metadata.annotations['example.org/value'] != 'refused'"
    message: not here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: refuse}
spec:
  policyName: refuse
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {refuse: "yes"}}}
`

// refusal is held while a test makes that policy: of two at once one would be told that it exists.
var refusal sync.Mutex

// types are custom ones, one of them without namespaces.
const types = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gizmoes.example.org}
spec:
  group: example.org
  names: {kind: Gizmo, plural: gizmoes}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: realms.example.org}
spec:
  group: example.org
  names: {kind: Realm, plural: realms}
  scope: Cluster
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// places makes the namespaces of a test in both clusters: that of the release, and others whose names begin like it.
// In those of the first cluster the value refused is refused.
func places(t *testing.T, east, west *kubetest.Server, names ...string) (ns string) {
	t.Helper()
	ns = east.Namespace(t)
	west.Kubectl(t, "create", "namespace", ns)
	refusal.Lock()
	east.Kubectl(t, "apply", "-f", write(t, "refusing.yaml", refusing))
	refusal.Unlock()
	for _, n := range names {
		n = ns + "-" + n
		east.Kubectl(t, "create", "namespace", n)
		east.Kubectl(t, "label", "namespace", n, "refuse=yes")
		west.Kubectl(t, "create", "namespace", n)
		eventually(t, "the policy is in force", func() error { // it takes the server a moment
			_, errs, err := east.TryKubectl(t, "-n", n, "create", "--dry-run=server", "-f", write(t, "refused.yaml",
				`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","annotations":{"example.org/value":"refused"}}}`))
			if err == nil || !strings.Contains(errs, "not here") {
				return fmt.Errorf("it answers %v %s", err, errs)
			}
			return nil
		})
	}
	return ns
}

// entries of the other node: the same kinds in the same places, both ways.
func bothWays(uses []use) []map[string]any {
	var out []map[string]any
	for _, u := range uses {
		kind := map[string]string{"configmaps": "ConfigMap", "secrets": "Secret", "deployments": "Deployment", "gizmoes": "Gizmo", "realms": "Realm"}[u.plural]
		e := map[string]any{"group": u.group, "version": u.version, "kind": kind, "plural": u.plural, "status": u.status}
		if u.namespaced {
			e["namespaces"] = []string{u.ns}
		}
		out = append(out, e)
	}
	return out
}

// works has objects come, change and go in both directions, as far as the entries let them, be refused and taken.
func works(t *testing.T, i *installation, pod string, west *other, uses []use) {
	t.Helper()
	here, there := i.server, west.server
	for _, u := range uses {
		u.create(t, there, u.ns, "from-west", "1")
		if !u.newNamespace {
			u.create(t, here, u.ns, "from-east", "1")
		}
	}
	each := func(from, to string) {
		for _, u := range uses {
			if u.receives {
				u.comes(t, here, u.ns, "from-west", to)
			}
			if u.publishes && !u.newNamespace {
				u.comes(t, there, u.ns, "from-east", to)
			}
		}
	}
	each("", "1")
	for _, u := range uses {
		u.set(t, there, u.ns, "from-west", "2")
		if !u.newNamespace {
			u.set(t, here, u.ns, "from-east", "2")
		}
		if u.status {
			if code, answer := there.Do(t, "PATCH", u.path(u.ns, "from-west")+"/status", `{"status":{"phase":"good"}}`); code != 200 {
				t.Fatalf("status %d: %s", code, answer)
			}
		}
	}
	each("1", "2")
	for _, u := range uses {
		if u.status {
			u.comes(t, here, u.ns, "from-west", "status good")
		}
	}
	for _, u := range uses {
		if u.receives && !u.newNamespace && u.namespaced { // is refused twice: the second is more of the same Event
			u.create(t, there, u.ns, "picky", "good")
			u.comes(t, here, u.ns, "picky", "good")
			for range 2 {
				u.set(t, there, u.ns, "picky", "refused")
				i.shows(pod, u.ns+"/picky", "ApplyRejected")
				u.set(t, there, u.ns, "picky", "good")
				eventually(t, "it is not refused any more", func() error {
					s, err := i.status(pod)
					if err == nil && s.problems() != "" {
						err = errors.New(s.problems())
					}
					return err
				})
			}
		}
	}
	for _, u := range uses {
		for _, x := range []struct {
			flows bool
			s     *kubetest.Server
			name  string
		}{{u.receives, here, "from-west"}, {u.publishes, there, "from-east"}} {
			if err := u.has(t, x.s, u.ns, x.name, ""); !x.flows && err != nil {
				t.Errorf("against the direction of the entry: %v", err)
			}
		}
		u.remove(t, there, u.ns, "from-west")
		if !u.newNamespace {
			u.remove(t, here, u.ns, "from-east")
		}
	}
	each("2", "")
}

// healthy shows what people and Kubernetes see of a node that works.
func healthy(t *testing.T, i *installation, pod string) {
	t.Helper()
	if out, errs, code := i.exec(pod, "status", "--wait"); code != 0 {
		t.Fatalf("mesh status --wait: exit code %d: %s%s", code, out, errs)
	}
	// All of it again when something isn't so: a busy machine misses a heartbeat now and then.
	eventually(t, "the node is healthy", func() error {
		s, err := i.status(pod)
		if err == nil && (!s.Ready || !s.InSync || !s.LeaseHeld || s.problems() != "") {
			err = fmt.Errorf("it is not: %+v", s)
		}
		if err != nil {
			return err
		}
		out, errs, code := i.exec(pod, "status")
		if code != 0 || !strings.Contains(out, "\nhealth       ok\n") {
			return fmt.Errorf("mesh status: exit code %d: %s%s", code, out, errs)
		}
		for _, name := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
			if i.container(i.deployment())[name] == nil {
				continue
			}
			if err := i.probe(pod, name); err != nil {
				return err
			}
		}
		return nil
	})
	eventually(t, "MeshPeers tell", func() error {
		out := i.server.Kubectl(t, "-n", i.ns, "get", "meshpeers", "--no-headers")
		if strings.Count(out, " Ready ") != 2 || !strings.Contains(out, " east ") || !strings.Contains(out, " west ") {
			return errors.New(out)
		}
		return nil
	})
	eventually(t, "Events tell", func() error {
		out := i.server.Kubectl(t, "-n", i.ns, "get", "events.events.k8s.io", "--no-headers")
		if !strings.Contains(out, " PeerReady ") {
			return errors.New(out)
		}
		return nil
	})
	s, err := i.status(pod)
	if err != nil {
		t.Fatal(err)
	}
	if got := i.server.Kubectl(t, "-n", i.ns, "get", "lease", "mesh-east", "-o", "jsonpath={.spec.holderIdentity}"); got != s.Lease.Holder || got == "" {
		t.Errorf("the Lease names %q, the node says that it holds it as %q", got, s.Lease.Holder)
	}
}

// stopped ends a pod and looks at what it leaves.
func stopped(t *testing.T, i *installation, pod string) {
	t.Helper()
	i.pods[pod].stop(t)
	if text := i.pods[pod].said(t); strings.Contains(strings.ToLower(text), "forbidden") {
		t.Errorf("the log of the node speaks of what is forbidden:\n%s", text)
	}
}

// released tells whether nobody holds the Lease after a pod ended. A node that ends gives the API server little time to
// take it back: it may have run out.
func released(t *testing.T, i *installation, pod string) {
	t.Helper()
	for line := range strings.Lines(i.pods[pod].said(t)) {
		if strings.Contains(line, "the lease could not be given back") && strings.Contains(line, "deadline") {
			return
		}
	}
	if got := i.server.Kubectl(t, "-n", i.ns, "get", "lease", "mesh-east", "-o", "jsonpath={.spec.holderIdentity}"); got != "" {
		t.Errorf("the Lease is still held by %q", got)
	}
}

// clusters returns the cluster that charts are installed in, whose requests are recorded, and that of the other node.
func clusters(t *testing.T) (east, west *kubetest.Server) {
	t.Helper()
	return kubetest.SharedAs(t, "east", kubetest.Audit()), kubetest.SharedAs(t, "west")
}

// The chart with a key of its own making, entries of every direction in two namespaces, and a peer that a MeshPeer
// admits.
func TestWorksInNamespaces(t *testing.T) {
	t.Parallel()
	east, west := clusters(t)
	ns := places(t, east, west, "shop", "blog", "out")
	uses := []use{
		{kind: configMapKind, ns: ns + "-shop", receives: true, publishes: true},
		{kind: configMapKind, ns: ns + "-blog", receives: true, publishes: true},
		{kind: secretKind, ns: ns + "-shop", receives: true},
		{kind: deploymentKind, ns: ns + "-out", publishes: true},
	}
	i, ok := install(t, east, ns, strings.ReplaceAll(`
mesh:
  zone: east
  resources:
    - {version: v1, kind: ConfigMap, namespaces: [NS-shop, NS-blog]}
    - {version: v1, kind: Secret, namespaces: [NS-shop], direction: subscribe}
    - {group: apps, version: v1, kind: Deployment, namespaces: [NS-out], direction: publish}
`, "NS", ns))
	if !ok {
		return
	}
	o := newOther(t, west, ns, bothWays(uses))
	o.knows(i)
	deploymentKind.create(t, east, ns+"-out", "clash", "east")
	deploymentKind.create(t, west, ns+"-out", "clash", "west")
	o.start()
	admit(i, "west", o.public, fmt.Sprintf("127.0.0.1:%d", o.port))
	i.startPod("one")
	// Two that claim one object are at odds until they want the same, and again. Of what is only published, too.
	for range 2 {
		i.shows("one", "resources.contested")
		deploymentKind.set(t, west, ns+"-out", "clash", "east")
		eventually(t, "they want the same", func() error {
			s, err := i.status("one")
			if err == nil && strings.Contains(s.problems(), "resources.contested") {
				err = errors.New(s.problems())
			}
			return err
		})
		deploymentKind.set(t, west, ns+"-out", "clash", "west")
	}
	i.shows("one", "resources.contested")
	deploymentKind.remove(t, west, ns+"-out", "clash")
	works(t, i, "one", o, uses)
	o.stop(t) // it comes and goes twice: the second time is more of the same Event
	peerIs(t, i, o.public, "NotReady")
	o.start()
	peerIs(t, i, o.public, "Ready")
	admission(i, "one")
	healthy(t, i, "one")
	stopped(t, i, "one")
	released(t, i, "one")

	// Another pod goes on with the same volume, and counts the start in the MeshPeer.
	i.startPod("two")
	healthy(t, i, "two")
	stopped(t, i, "two")
	i.usesItsRights(t)
}

// admit makes a MeshPeer as an administrator does.
func admit(i *installation, name, key string, endpoints ...string) {
	i.t.Helper()
	i.apply([]string{encode(i.t, map[string]any{
		"apiVersion": "dcp.hiro.io/v1", "kind": "MeshPeer", "metadata": map[string]any{"name": name, "namespace": i.ns},
		"spec": map[string]any{"admitted": true, "identity": map[string]any{"publicKey": key, "endpoints": append([]string{}, endpoints...)}},
	})})
}

// admission gives one and takes its object away: the key stays a member, and gets an object of the controller's, until it
// is removed.
func admission(i *installation, pod string) {
	i.t.Helper()
	admit(i, "third", somePeer)
	eventually(i.t, "it is admitted", func() error { return knows(i, pod, somePeer) })
	i.server.Kubectl(i.t, "-n", i.ns, "delete", "meshpeer", "third")
	eventually(i.t, "it has an object again", func() error {
		if out := i.server.Kubectl(i.t, "-n", i.ns, "get", "meshpeers", "-o", "name"); !strings.Contains(out, "/peer-"+somePeer[:8]) {
			return errors.New(out)
		}
		return nil
	})
	if out, errs, code := i.exec(pod, "peers", "remove", somePeer, "-y"); code != 0 {
		i.t.Errorf("peers remove: exit code %d: %s%s", code, out, errs)
	}
	eventually(i.t, "its object says that it was removed", func() error {
		if out := i.server.Kubectl(i.t, "-n", i.ns, "describe", "meshpeer", "peer-"+somePeer[:8]); !strings.Contains(out, "Removed") {
			return errors.New(out)
		}
		return nil
	})
}

// peerIs waits until the MeshPeer of a key has a state.
func peerIs(t *testing.T, i *installation, key, want string) {
	t.Helper()
	eventually(t, "the MeshPeer is "+want, func() error {
		var list struct {
			Items []struct {
				Spec   struct{ Identity struct{ PublicKey string } }
				Status struct{ Status string }
			}
		}
		i.get(&list, "meshpeers")
		for _, p := range list.Items {
			if p.Spec.Identity.PublicKey == key && p.Status.Status == want {
				return nil
			}
		}
		return fmt.Errorf("MeshPeers are %+v", list.Items)
	})
}

// knows asks whether a node lists a peer.
func knows(i *installation, pod, key string) error {
	i.t.Helper()
	out, errs, code := i.exec(pod, "peers", "-o", "json")
	if code != 0 || !strings.Contains(out, key) {
		return fmt.Errorf("exit code %d: %s%s", code, out, errs)
	}
	return nil
}

// Entries for the whole cluster, one that replicates the status, one of a kind without namespaces, one that makes its
// namespace; and the node keeps the definition of MeshPeer itself.
func TestWorksInTheWholeCluster(t *testing.T) {
	t.Parallel()
	east := kubetest.Start(t, kubetest.Name("alone"), kubetest.Audit()) // where nobody else defines MeshPeer
	west := kubetest.SharedAs(t, "west")
	for _, s := range []*kubetest.Server{east, west} {
		s.Kubectl(t, "apply", "-f", write(t, "types.yaml", types))
		s.Kubectl(t, "wait", "--for=condition=Established", "crd/gizmoes.example.org", "crd/realms.example.org")
	}
	ns := places(t, east, west, "shop")
	west.Kubectl(t, "create", "namespace", ns+"-new")
	west.Kubectl(t, "create", "namespace", ns+"-newer")
	uses := []use{
		{kind: gizmoKind, ns: ns + "-shop", receives: true, publishes: true, status: true},
		{kind: realmKind, publishes: true},
		{kind: configMapKind, ns: ns + "-new", receives: true, publishes: true, newNamespace: true},
	}
	o := newOther(t, west, ns, bothWays(append(uses, use{kind: configMapKind, ns: ns + "-newer"})))
	i, ok := install(t, east, ns, strings.NewReplacer("NS", ns, "PEER", encode(t, o.entry())).Replace(`
mesh:
  zone: east
  nodes: [PEER]
  resources:
    - {group: example.org, version: v1, kind: Gizmo, plural: gizmoes, status: true}
    - {group: example.org, version: v1, kind: Realm, plural: realms, direction: publish}
    - {version: v1, kind: ConfigMap, namespaces: [NS-new, NS-newer], create_namespaces: true}
crds: {enabled: false}
`))
	if !ok {
		return
	}
	o.knows(i)
	o.start()
	i.startPod("one")
	works(t, i, "one", o, uses)
	admission(i, "one")
	healthy(t, i, "one")
	stopped(t, i, "one")

	// An older definition is brought up to date, by another pod with the same volume.
	const version = `{.metadata.annotations.dcp\.hiro\.io/crd-version}`
	i.server.Kubectl(t, "annotate", "crd", "meshpeers.dcp.hiro.io", "dcp.hiro.io/crd-version=0", "--overwrite")
	i.startPod("two")
	eventually(t, "the definition is up to date", func() error {
		if got := i.server.Kubectl(t, "get", "crd", "meshpeers.dcp.hiro.io", "-o", "jsonpath="+version); got != "1" {
			return fmt.Errorf("its version is %q", got)
		}
		return nil
	})
	healthy(t, i, "two")
	stopped(t, i, "two")
	released(t, i, "two")
	i.usesItsRights(t)
	withoutClusterRights(t, i, o, ns+"-newer")
}

// The values of the original chart: its single entry, its key, its probes. And what helm test runs.
func TestWorksWithValuesOfTheOriginal(t *testing.T) {
	t.Parallel()
	east, west := clusters(t)
	ns := places(t, east, west, "shop")
	uses := []use{{kind: secretKind, ns: ns + "-shop", receives: true, publishes: true}}
	o := newOther(t, west, ns, bothWays(uses))
	i, ok := install(t, east, ns, strings.NewReplacer("NS", ns, "PEER", encode(t, o.entry()), "KEY", someKey).Replace(`
secretKey: KEY
services: {type: NodePort, network: {port: 9102}, health: {port: 8080}}
livenessProbe: {httpGet: {path: /health, port: http}}
readinessProbe: {httpGet: {path: /health, port: http}}
configuration:
  private_key_path: private-key.txt
  nodes: [PEER]
  kubernetes: incluster
  mesh:
    zone: east
    bootstrap: true
    resource: {group: "", version: v1, kind: Secret, namespace: NS-shop, merge_strategy: default}
`))
	if !ok {
		return
	}
	o.knows(i)
	o.start()
	i.startPod("one")
	works(t, i, "one", o, uses)
	if out, errs, code := i.helmTest(); code != 0 {
		t.Errorf("helm test: exit code %d: %s%s", code, out, errs)
	}
	o.stop(t)
	peerIs(t, i, o.public, "NotReady")
	o.start()
	peerIs(t, i, o.public, "Ready")
	healthy(t, i, "one")
	stopped(t, i, "one")
	released(t, i, "one")
}
