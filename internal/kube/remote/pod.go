package remote

import (
	"cmp"
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dcp.hiro.io/mesh/internal/kube"
)

const (
	// selector finds what belongs to mesh; jobs carry one of the other labels too.
	selector       = "app.kubernetes.io/part-of=mesh"
	componentLabel = "app.kubernetes.io/component"
	jobLabel       = "batch.kubernetes.io/job-name"

	// maxPods is far beyond the replicas of a controller and its jobs.
	maxPods = 200

	// The ports of a pod that names none.
	defaultAPIPort  = 3001
	defaultHTTPPort = 3000
)

var (
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// pod is one that may be a node.
type pod struct {
	namespace, name string
	phase           string
	active, ready   bool
	started         time.Time
	api, http       int // ports: of its API on its loopback address, and of health and metrics
}

// findPod returns the pod of a namespace that is the node, or a NoNodeError.
func (c *Cluster) findPod(ctx context.Context, namespace string) (pod, error) {
	list, err := c.dynamic.Resource(pods).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: maxPods})
	if err != nil {
		return pod{}, explain(err, c.host(), "list", "pods", namespace)
	}
	var all []pod
	for i := range list.Items {
		if p, ok := readPod(&list.Items[i]); ok {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, better)
	if len(all) > 0 && all[0].phase == running {
		return all[0], nil
	}
	none := &NoNodeError{Namespace: namespace}
	if len(all) > 0 {
		none.Pod, none.Phase = all[0].name, all[0].phase
	}
	return pod{}, none
}

const running = "Running"

// readPod is false for what is no node, or will be none any more.
func readPod(u *unstructured.Unstructured) (pod, bool) {
	labels := u.GetLabels()
	if labels[componentLabel] != "" || labels[jobLabel] != "" || u.GetDeletionTimestamp() != nil {
		return pod{}, false
	}
	p := pod{namespace: u.GetNamespace(), name: u.GetName(), active: labels[kube.ActiveLabel] == "true",
		started: u.GetCreationTimestamp().Time, api: defaultAPIPort, http: defaultHTTPPort}
	phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
	p.phase = cmp.Or(line(phase), "Unknown")
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		p.ready = p.ready || m["type"] == "Ready" && m["status"] == "True"
	}
	containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "containers")
	for _, c := range containers {
		m, _ := c.(map[string]any)
		ports, _ := m["ports"].([]any)
		for _, one := range ports {
			port, _ := one.(map[string]any)
			number, _ := port["containerPort"].(int64)
			switch {
			case number < 1 || number > 65535:
			case port["name"] == "api":
				p.api = int(number)
			case port["name"] == "http":
				p.http = int(number)
			}
		}
	}
	return p, true
}

// better orders pods: what runs, then what holds the lease, then what is ready, then the newest.
func better(a, b pod) int {
	return cmp.Or(
		yes(b.phase == running)-yes(a.phase == running),
		yes(b.active)-yes(a.active),
		yes(b.ready)-yes(a.ready),
		b.started.Compare(a.started),
		cmp.Compare(a.name, b.name),
	)
}

func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}
