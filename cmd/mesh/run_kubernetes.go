package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/logging"
	"dcp.hiro.io/mesh/internal/mesh"
)

// kubernetes is what a running node has of the cluster that it works on.
type kubernetes struct {
	conn    *kube.Connection
	lease   *lease.Lease
	cluster *kube.Cluster
	shown   *shown // cluster, as its status is told
	keeper  *meshpeer.Keeper

	recorder *meshpeer.Recorder
	metrics  *kube.Metrics
}

// openKubernetes reads the access data and makes what talks to the API server. It sends no request: one that is
// away is waited for when the node runs.
func (r *running) openKubernetes() error {
	kube.SetLogger(r.logs.For(logging.ClientGo))
	metrics, err := kube.NewMetrics(r.registry)
	if err != nil {
		return err
	}
	access := kubeAccess(r.cfg.Kubernetes)
	access.Wrap = metrics.Wrap
	conn, err := kube.Connect(access)
	if err != nil {
		return accessError(err)
	}
	if conn.InCluster {
		r.cfg.SetOwnNamespace(conn.Namespace)
	}
	identity, err := r.identity()
	if err != nil {
		return err
	}
	r.kube = &kubernetes{conn: conn, metrics: metrics}
	l, err := lease.New(lease.Config{
		Conn: conn, Name: leaseName(r.cfg.Mesh.Zone), Identity: identity, Confirmed: r.confirmed,
		Logger: r.logs.For(logging.Kube),
	})
	if err != nil {
		return err
	}
	r.kube.lease = l
	r.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "mesh_lease_held", Help: "Whether this process certainly holds the lease of its zone; 1 or 0."},
		func() float64 {
			if l.Confirmed() {
				return 1
			}
			return 0
		}))
	return r.openMeshPeers()
}

func kubeAccess(k config.Kubernetes) kube.Access {
	return kube.Access{
		InCluster: k.InCluster, Context: k.Context, Namespace: k.Namespace, QPS: float32(k.QPS), Burst: k.Burst,
		UserAgent: "mesh/" + buildVersion().Version,
	}
}

// identity names this process among those that may lead: the host's name, which is the pod's, and something that
// no other process of that name ever has.
func (r *running) identity() (string, error) {
	const most = 200 // bytes of the host's name, which leaves room for the rest
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "mesh"
	}
	var unique [4]byte
	if _, err := io.ReadFull(r.e.rand, unique[:]); err != nil {
		return "", fmt.Errorf("make an identity for the lease: %w", err)
	}
	return fmt.Sprintf("%.*s_%x", most, host, unique), nil
}

// confirmed is told whether it is certain that no other process works on the cluster. While it is not, nothing is
// written to it.
func (k *kubernetes) confirmed(on bool) {
	k.cluster.Hold(!on)
}

// elect runs the node while this process leads its zone. Before that it answers as one that stands by.
func (r *running) elect(ctx context.Context) error {
	r.admin.Start(&standby{r})
	marked, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	defer group.Wait()                                              //nolint:errcheck // it returns none
	group.Go(func() error { r.markPod(marked, false); return nil }) // it led before its container was started anew
	return r.kube.lease.Run(ctx, r.lead)
}

// kubeConfig turns the configuration into that of the cluster adapter. Entries with a problem are left out: the
// configuration has warned about them.
func (r *running) kubeConfig(w kube.Witness, recorder kube.Recorder) kube.Config {
	return kube.Config{
		Conn: r.kube.conn, Zone: r.cfg.Mesh.Zone, Drift: kube.Drift(r.cfg.Mesh.Drift), Entries: kubeEntries(r.cfg),
		Reader: r.store, Witness: w, Recorder: recorder, Publishes: r.cfg.Publishes, Applies: r.cfg.Applies,
		Secret: holdsKey(r.key.Public()), Metrics: r.kube.metrics, Logger: r.logs.For(logging.Kube),
		Tell: r.tellOwn,
	}
}

func kubeEntries(cfg *config.Config) []kube.Entry {
	var entries []kube.Entry
	for _, e := range cfg.Mesh.Resources {
		if e.Problem != "" {
			continue
		}
		entries = append(entries, kubeEntry(e))
	}
	return entries
}

func kubeEntry(e config.Resource) kube.Entry {
	return kube.Entry{
		Group: e.Group, Version: e.Version, Kind: e.Kind, Plural: e.Plural, Namespaces: e.Namespaces, Selector: e.Selector,
		Publish: e.Direction != config.Subscribe, Apply: e.Direction != config.Publish, Status: e.Status, Ignore: e.Ignore,
		Recreate: e.Recreate, IncludeControlled: e.IncludeControlled, CreateNamespaces: e.CreateNamespaces,
	}
}

// holdsKey recognises a private key in any of the forms that a key file may have.
func holdsKey(own keys.Public) func([]byte) bool {
	return func(b []byte) bool {
		if len(b) > keys.MaxFileSize {
			return false
		}
		k, err := keys.Parse(b)
		return err == nil && k.Public() == own
	}
}

// ready is what /readyz looks at.
func (k *kubernetes) ready() error {
	switch s := k.lease.Status(); s.State {
	case lease.Held, lease.Standby:
		return nil
	case lease.Unconfirmed:
		return fmt.Errorf("not renewed since %s", rfc3339(s.Since))
	default:
		if s.Err != nil {
			return errors.New(oneLine(clipText(s.Err.Error(), maxServerText)))
		}
		return errors.New("it is not known yet who leads")
	}
}

// describe adds to a status how this process stands among those of its zone.
func (k *kubernetes) describe(s *mesh.Status) {
	st, held := k.lease.Status(), k.lease.Confirmed()
	s.LeaseHeld = &held
	s.Lease = &mesh.LeaseStatus{State: string(st.State), Holder: st.Holder, Since: st.Since.UTC().Round(0)}
	if st.Err == nil || st.State == lease.Held {
		return
	}
	f := mesh.Finding{ID: "cluster.lease", Status: "fail", Subject: k.conn.Location, Next: "mesh help MESH-3701",
		Text: "the API server does not tell who leads: "}
	switch {
	case apierrors.IsForbidden(st.Err), apierrors.IsUnauthorized(st.Err):
		f.Text, f.Next = "mesh may not use its Lease: ", "mesh help MESH-6701"
	case st.State == lease.Unconfirmed:
		f.Text = "the lease could not be renewed, and nothing is written to the cluster until it is: "
	case st.State == lease.Standby:
		f.Status = "warn"
	}
	f.Text += clipText(st.Err.Error(), maxServerText)
	s.Findings = append([]mesh.Finding{f}, s.Findings...)
}

// accessError words why there is no cluster to talk to.
func accessError(err error) error {
	var missing *kube.NoContextError
	switch {
	case errors.Is(err, kube.ErrNotInPod):
		return &cliError{Code: "MESH-2703", What: "there is no cluster around this process", Cause: err.Error(),
			Next: []string{"mesh run --context NAME", "mesh run --folder DIR"}, Err: err}
	case errors.As(err, &missing):
		what := "the kubeconfig has no context " + missing.Name
		if missing.Name == "" {
			what = "the kubeconfig has no current context"
		}
		return &cliError{Code: "MESH-2702", What: what, Cause: "it is the one that KUBECONFIG names, or else ~/.kube/config",
			Next: []string{"kubectl config get-contexts", "mesh run --context NAME"}, Err: err}
	case errors.Is(err, kube.ErrNoKubeconfig):
		return &cliError{Code: "MESH-2701", What: "there is no kubeconfig", Cause: "neither KUBECONFIG nor ~/.kube/config names a cluster",
			Next: []string{"KUBECONFIG=FILE mesh run", "mesh run --folder DIR"}, Err: err}
	}
	return &cliError{Code: "MESH-2701", What: "the access data of the cluster cannot be used", Cause: oneLine(clipText(rootCause(err).Error(), maxServerText)),
		Next: []string{"kubectl config view", "mesh run --context NAME"}, Err: err}
}

func kubernetesCodes() []errorCode {
	return []errorCode{
		{"MESH-1701", "another process took the lease", "" +
			"Of several processes for one zone only the one that holds the Lease mesh-ZONE works on the cluster. This " +
			"one could not renew it for so long that another took over, so it ended; nothing was written by both. " +
			"Kubernetes starts it again and it stands by. If it happens often, the way to the API server is bad, or " +
			"the machine is overloaded."},
		{"MESH-2701", "the kubeconfig cannot be used", "" +
			"A node with kubernetes.external, or --context, reads the files that KUBECONFIG names, else ~/.kube/config. " +
			"There is none, or it names no cluster, or it cannot be read. In a pod use --incluster."},
		{"MESH-2702", "the kubeconfig has no such context", "" +
			"kubernetes.external.kube_context, or --context, names a context that the kubeconfig does not have. No other " +
			"is taken in its place: replicating into the wrong cluster is worse than not starting."},
		{"MESH-2703", "not in a pod", "" +
			"kubernetes.incluster, or --incluster, uses the service account of the pod that mesh runs in: the variables " +
			"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and the token that Kubernetes mounts. One of them is " +
			"missing; automountServiceAccountToken may be false."},
		{"MESH-3701", "the API server does not answer", "" +
			"A node starts, and goes on, without its API server: it waits, tries again every second, and shows this in " +
			"mesh status, /readyz and the metric mesh_lease_held. One that leads goes on serving its peers; nothing is " +
			"written to the cluster until it is certain again that nobody else leads."},
		{"MESH-3702", "the node stands by", "" +
			"Another process of this zone holds the lease and does the work. Ask that one, or stop it: this one takes over " +
			"at once."},
		{"MESH-6701", "not allowed to use the Lease", "" +
			"mesh needs the verbs create, get and update on leases of coordination.k8s.io in its own namespace " +
			"(kubernetes.namespace). Until it has them it stands by and tries again. The Helm chart grants them."},
	}
}
