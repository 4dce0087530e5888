package charttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// makePods makes the Pods of the Deployment as its controller would. Nothing runs them.
func makePods(i *installation, names ...string) {
	i.t.Helper()
	var list []string
	for _, name := range names {
		pod := map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": podOf(i.deployment()).at("spec"), "metadata": map[string]any{
			"name": name, "namespace": i.ns, "labels": podOf(i.deployment()).at("metadata", "labels"),
		}}
		list = append(list, encode(i.t, pod))
	}
	i.apply(list)
}

// reached are the pods that the Service for peers sends them to.
func reached(i *installation) []string {
	i.t.Helper()
	service := only(i.t, i.all, "Service", nodeName(i.all))
	var selector []string
	for k, v := range service.at("spec", "selector").(map[string]any) {
		selector = append(selector, k+"="+v.(string))
	}
	out := i.server.Kubectl(i.t, "-n", i.ns, "get", "pods", "-l", strings.Join(selector, ","), "-o", "name")
	return strings.Fields(strings.ReplaceAll(out, "pod/", ""))
}

func isReached(t *testing.T, i *installation, want string) {
	t.Helper()
	eventually(t, "the Service finds "+want, func() error {
		if got := reached(i); len(got) != 1 || got[0] != want {
			return fmt.Errorf("it finds %v", got)
		}
		return nil
	})
}

// standsBy starts a pod beside one that leads and waits until it is ready to follow.
func standsBy(t *testing.T, i *installation, pod string) {
	t.Helper()
	i.startPod(pod)
	eventually(t, pod+" stands by", func() error {
		s, err := i.status(pod)
		if err == nil && (s.Lease.State != "Standby" || s.LeaseHeld || !s.Ready || s.problems() != "") {
			err = fmt.Errorf("it does not: %+v", s)
		}
		if err == nil {
			err = i.probe(pod, "readinessProbe")
		}
		return err
	})
}

func leads(t *testing.T, i *installation, pod string) {
	t.Helper()
	eventually(t, pod+" leads", func() error {
		s, err := i.status(pod)
		if err == nil && (s.Lease.State != "Held" || !s.LeaseHeld || !s.Ready) {
			err = fmt.Errorf("it does not: %+v", s)
		}
		return err
	})
}

// acquired is when the Lease was taken, by the clock of this machine, which that of the pods is.
func acquired(t *testing.T, i *installation) time.Time {
	t.Helper()
	text := i.server.Kubectl(t, "-n", i.ns, "get", "lease", "mesh-east", "-o", "jsonpath={.spec.acquireTime}")
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Of two replicas one holds the Lease, works, and is the only one that peers are sent to. When its pod is deleted the
// other takes its place, and again when that one crashes and its container is started anew.
func TestReplicas(t *testing.T) {
	t.Parallel()
	east, west := clusters(t)
	ns := places(t, east, west, "shop")
	shop := ns + "-shop"
	uses := []use{{kind: configMapKind, ns: shop, receives: true, publishes: true}}
	o := newOther(t, west, ns, bothWays(uses))
	i, ok := install(t, east, ns, strings.NewReplacer("NS", ns, "PEER", encode(t, o.entry())).Replace(`
replicaCount: 2
persistence: {enabled: false}
mesh:
  zone: east
  nodes: [PEER]
  resources: [{version: v1, kind: ConfigMap, namespaces: [NS-shop]}]
`))
	if !ok {
		return
	}
	o.knows(i)
	o.start()
	makePods(i, "one", "two", "three")
	i.startPod("one")
	isReached(t, i, "one")
	works(t, i, "one", o, uses)
	standsBy(t, i, "two")
	isReached(t, i, "one")
	for _, name := range []string{"stays", "goes"} {
		configMapKind.create(t, west, shop, name, "1")
		configMapKind.comes(t, east, shop, name, "1")
	}
	configMapKind.create(t, east, shop, "ours", "1")
	configMapKind.comes(t, west, shop, "ours", "1")

	// An orderly end: the other follows at once. What changes meanwhile is not lost.
	began := time.Now()
	stopped(t, i, "one")
	i.server.Kubectl(t, "-n", ns, "delete", "pod", "one", "--now")
	configMapKind.remove(t, west, shop, "goes")
	configMapKind.set(t, east, shop, "ours", "2")
	leads(t, i, "two")
	t.Logf("the take-over after an orderly end took %s", time.Since(began).Round(10*time.Millisecond))
	isReached(t, i, "two")
	configMapKind.comes(t, east, shop, "goes", "")
	configMapKind.comes(t, west, shop, "ours", "2")
	peerIs(t, i, o.public, "Ready")

	// A crash: the Lease has to run out, which must not take longer than 15 s.
	standsBy(t, i, "three")
	began = time.Now()
	if err := i.pods["two"].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-i.pods["two"].ended
	leads(t, i, "three")
	took := acquired(t, i).Sub(began).Round(10 * time.Millisecond) // asking the pod takes longer
	t.Logf("the take-over after a crash took %s", took)
	if took > 15*time.Second {
		t.Errorf("the take-over took %s, want 15 s at most", took)
	}
	standsBy(t, i, "two") // as the kubelet starts the container again, with the emptyDir that it had
	isReached(t, i, "three")
	configMapKind.set(t, west, shop, "stays", "2")
	configMapKind.comes(t, east, shop, "stays", "2")
	for _, s := range []*kubetest.Server{east, west} {
		if err := configMapKind.has(t, s, shop, "goes", ""); err != nil {
			t.Errorf("what was deleted came back: %v", err)
		}
	}
	peerIs(t, i, o.public, "Ready")
	healthy(t, i, "three")
	stopped(t, i, "two")
	stopped(t, i, "three")
	released(t, i, "three")
	if left := i.unused(); slices.Contains(left, ns+" /pods patch") {
		t.Errorf("not used:\n%s", strings.Join(left, "\n"))
	}
}
