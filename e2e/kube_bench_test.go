package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// benchCluster is a real API server with its ConfigMaps in one namespace, as client-go reaches them.
type benchCluster struct {
	*kubetest.Server
	maps dynamic.ResourceInterface
	ns   string

	verbs map[string]int // of the requests that audited counted last
}

func newBenchCluster(b *testing.B, name, ns string) *benchCluster {
	b.Helper()
	s := kubetest.SharedAs(b, name, kubetest.Name(name), kubetest.Audit())
	if code, body := s.Do(b, http.MethodPost, "/api/v1/namespaces", fmt.Sprintf(`{"metadata":{"name":%q}}`, ns)); code != http.StatusCreated {
		b.Fatalf("create namespace: %d %s", code, body)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig(b))
	must(b, err)
	cfg.QPS = -1
	cfg.UserAgent = "bench"
	d, err := dynamic.NewForConfig(rest.CopyConfig(cfg))
	must(b, err)
	maps := d.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(ns)
	return &benchCluster{Server: s, maps: maps, ns: ns}
}

func (c *benchCluster) configMap(name, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": c.ns},
		"data": map[string]any{"value": value},
	}}
}

func (c *benchCluster) apply(b *testing.B, name, value, manager string) {
	_, err := c.maps.Apply(context.Background(), name, c.configMap(name, value), metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		b.Error(err)
	}
}

// appears returns a function that waits for the watch event that shows a value of an object.
func (c *benchCluster) appears(b *testing.B, name string) func(value string) {
	b.Helper()
	w, err := c.maps.Watch(context.Background(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	must(b, err)
	b.Cleanup(w.Stop)
	return func(value string) {
		late := time.After(patience)
		for {
			select {
			case ev := <-w.ResultChan():
				u, ok := ev.Object.(*unstructured.Unstructured)
				if !ok || ev.Type == apiwatch.Error {
					b.Fatalf("watch: %v", ev)
				}
				if got, _, _ := unstructured.NestedString(u.Object, "data", "value"); got == value {
					return
				}
			case <-late:
				b.Fatalf("%s does not appear", value)
			}
		}
	}
}

// kubeNodes are two nodes that replicate the ConfigMaps of one namespace.
func kubeNodes(b *testing.B, ns string, clusters ...*benchCluster) []*zone {
	b.Helper()
	all := zones(b, "east west", set("heartbeat_interval_seconds", 5), setMesh("resources", []map[string]any{
		{"version": "v1", "kind": "ConfigMap", "namespaces": []string{ns}}}))
	for i, z := range all {
		z.config["kubernetes"] = map[string]any{"external": map[string]any{"kube_context": clusters[i].Name}, "namespace": ns}
		z.env = append(z.env, "KUBECONFIG="+clusters[i].Kubeconfig(b))
		z.save()
	}
	return all
}

// BenchmarkClusterToCluster applies one change at a time on one API server, at rest, and waits for it on the other.
// Beside it stands the least that any replicator pays, in the same run: the apply and its watch event on the one,
// and an apply on the other.
func BenchmarkClusterToCluster(b *testing.B) {
	const ns = "latency"
	east, west := newBenchCluster(b, "east", ns), newBenchCluster(b, "west", ns)
	nodes := kubeNodes(b, ns, east, west)
	startAll(b, nodes...)
	east.apply(b, "a", "begin", "user")
	there, here := west.appears(b, "a"), east.appears(b, "floor")
	there("begin")
	var took, least []time.Duration
	b.ResetTimer()
	for b.Loop() {
		for range 100 { // enough for a p99 in the shortest run
			time.Sleep(20 * time.Millisecond) // at rest: what follows a change is over
			value := fmt.Sprintf("value %d.", len(took))
			began := time.Now()
			east.apply(b, "a", value, "user")
			there(value)
			took = append(took, time.Since(began))

			time.Sleep(20 * time.Millisecond)
			began = time.Now()
			east.apply(b, "floor", value, "user")
			here(value)
			west.apply(b, "elsewhere", value, "user")
			least = append(least, time.Since(began))
		}
	}
	p50, p99, floor50, floor99 := quantile(took, 0.5), quantile(took, 0.99), quantile(least, 0.5), quantile(least, 0.99)
	b.ReportMetric(p50, "p50-ms")
	b.ReportMetric(p99, "p99-ms")
	b.ReportMetric(floor50, "floor-p50-ms")
	b.ReportMetric(floor99, "floor-p99-ms")
	b.ReportMetric(p50/floor50, "x-floor-p50")
	b.ReportMetric(p99/floor99, "x-floor-p99")
}

// BenchmarkFirstSync brings 10,000 ConfigMaps of 2 KiB that stand on one API server to another, and compares the time
// from the start of the receiving node with that of as many applies by as many writers on the same API server.
func BenchmarkFirstSync(b *testing.B) {
	const ns, count, writers = "bulk", 10_000, 16
	east, west := newBenchCluster(b, "east", ns), newBenchCluster(b, "west", ns)
	nodes := kubeNodes(b, ns, east, west)
	value := strings.Repeat("v", 1900)
	loop := func(c *benchCluster, prefix string) time.Duration {
		began := time.Now()
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for i := w; i < count; i += writers {
					c.apply(b, fmt.Sprintf("%s-%d", prefix, i), value, "loop")
				}
			})
		}
		group.Wait()
		return time.Since(began)
	}
	nodes[1].start()
	nodes[1].cli("status", "--wait=120s")
	empty := nodes[1].memory("RssAnon")
	b.Logf("receiver, idle: %s", nodes[1].pages())
	nodes[1].stop()
	loop(east, "o")
	nodes[0].start()
	eventually(b, "all is published", func() error { return live(nodes[0], count) })
	b.ResetTimer() // no b.Loop: only one is the first
	b.Logf("publisher: %s", nodes[0].pages())
	before := west.audited(b, "mesh/")
	began := time.Now()
	nodes[1].start()
	eventually(b, "all is there", func() error {
		s, err := nodes[1].status()
		if err != nil {
			return err
		}
		if p := s.Resources; p.Live < count || !s.InSync {
			return fmt.Errorf("%d live", p.Live)
		}
		return west.holds(b, count)
	})
	took := time.Since(began)
	b.Logf("of a core, the receiver took %.1f s in %.1f s", processorSeconds(b, nodes[1].process.cmd.Process.Pid), took.Seconds())
	full := nodes[1].memory("RssAnon")
	b.Logf("receiver, with all: %s", nodes[1].pages())
	requests := west.audited(b, "mesh/") - before
	b.Logf("requests: %v", west.verbs)
	nodes[1].stop()
	nodes[1].start()
	eventually(b, "all is known again", func() error {
		s, err := nodes[1].status()
		if err == nil && !(s.Cluster.Connected && s.InSync && s.Resources.Live >= count) {
			err = fmt.Errorf("%d live", s.Resources.Live)
		}
		return err
	})
	again := nodes[1].memory("RssAnon")
	b.Logf("receiver, started again: %s", nodes[1].pages())
	for _, z := range nodes {
		z.stop() // the loop has the machine for itself, and nobody replicates what it writes
	}
	bare := loop(west, "bare")
	b.ReportMetric(bare.Seconds()/took.Seconds(), "x-bare")
	b.ReportMetric(count/took.Seconds(), "objects/s")
	b.ReportMetric(count/bare.Seconds(), "bare-objects/s")
	b.ReportMetric(float64(requests)/count, "requests/object")
	b.ReportMetric(float64(full-empty)/(1<<20), "MiB")
	b.ReportMetric(float64(again-empty)/(1<<20), "MiB-restarted")
}

// live returns an error while a node doesn't know that many objects.
func live(z *zone, count int) error {
	s, err := z.status()
	if err == nil && s.Resources.Live < count {
		err = fmt.Errorf("%d live", s.Resources.Live)
	}
	return err
}

// holds returns an error while there are not that many ConfigMaps.
func (c *benchCluster) holds(b *testing.B, count int) error {
	page, err := c.maps.List(context.Background(), metav1.ListOptions{Limit: 1})
	must(b, err)
	n := len(page.Items)
	if more := page.GetRemainingItemCount(); more != nil {
		n += int(*more)
	}
	if n < count {
		return fmt.Errorf("%d of %d are there", n, count)
	}
	return nil
}

// audited counts the requests for single ConfigMaps that programs of a name have sent.
func (c *benchCluster) audited(b *testing.B, agent string) (n int) {
	b.Helper()
	f, err := os.Open(c.AuditLog)
	must(b, err)
	defer f.Close()
	c.verbs = map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var ev struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Namespace string }
		}
		must(b, json.Unmarshal(lines.Bytes(), &ev))
		if strings.HasPrefix(ev.UserAgent, agent) && ev.ObjectRef.Resource == "configmaps" && ev.ObjectRef.Namespace == c.ns &&
			ev.Verb != "list" && ev.Verb != "watch" {
			n++
			c.verbs[ev.Verb]++
		}
	}
	must(b, lines.Err())
	return n
}

// pages tells what a node keeps in memory: what is its own, and the pages of its store that the kernel keeps for it and
// takes back when others need them.
func (z *zone) pages() string {
	return fmt.Sprintf("%d MiB its own, %d MiB of files, at most %d MiB in all", z.memory("RssAnon")>>20, z.memory("RssFile")>>20, z.memory("VmHWM")>>20)
}
