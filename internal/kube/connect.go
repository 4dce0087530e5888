package kube

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Access says which cluster is used and how.
type Access struct {
	// InCluster uses the service account of the pod. Otherwise the kubeconfig decides: the file KUBECONFIG
	// names or ~/.kube/config, and in it Context (empty: its current context).
	InCluster bool
	Context   string
	// Namespace of mesh's own objects; empty: the pod's, or default outside a pod.
	Namespace string
	// QPS and Burst limit requests on this side. QPS 0: no limit, the API server's own fairness decides.
	QPS   float32
	Burst int

	UserAgent string
	// Wrap sees every request; nil: nobody does.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Connection is a cluster that can be talked to. It is not known yet whether it answers.
type Connection struct {
	Config    *rest.Config
	Dynamic   dynamic.Interface
	Discovery discovery.DiscoveryInterface
	Namespace string // of mesh's own objects
	Location  string // the context, or the address of the API server: for people
	InCluster bool
}

// What Connect refuses, beside files that cannot be read.
var (
	ErrNoKubeconfig = errors.New("there is no kubeconfig: neither KUBECONFIG nor ~/.kube/config names a cluster")
	ErrNotInPod     = errors.New("this process does not run in a pod, or the pod has no service account token")
)

// NoContextError says that the kubeconfig lacks the context that was asked for.
type NoContextError struct{ Name string } // empty: its current one

func (e *NoContextError) Error() string {
	if e.Name == "" {
		return "the kubeconfig has no current context"
	}
	return fmt.Sprintf("context %q does not exist", e.Name)
}

// namespaceFile names the pod's namespace, as client-go expects it.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// maxNamespaceFile is the longest namespace, 63 bytes, and room for white space.
const maxNamespaceFile = 128

// Connect reads the access data. It sends no request.
func Connect(a Access) (*Connection, error) {
	c := &Connection{Namespace: a.Namespace, InCluster: a.InCluster}
	var err error
	if a.InCluster {
		c.Config, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) || errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotInPod
		}
		if err != nil {
			return nil, fmt.Errorf("read the pod's service account: %w", err)
		}
		c.Namespace = cmp.Or(c.Namespace, podNamespace())
		c.Location = c.Config.Host
	} else {
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
			&clientcmd.ConfigOverrides{CurrentContext: a.Context})
		raw, err := loader.RawConfig()
		if err != nil {
			return nil, fmt.Errorf("read the kubeconfig: %w", unquoted(err))
		}
		if len(raw.Contexts)+len(raw.Clusters) == 0 {
			return nil, ErrNoKubeconfig
		}
		if raw.Contexts[cmp.Or(a.Context, raw.CurrentContext)] == nil {
			return nil, &NoContextError{a.Context}
		}
		if c.Config, err = loader.ClientConfig(); err != nil {
			return nil, fmt.Errorf("read the kubeconfig: %w", err)
		}
		c.Location = cmp.Or(a.Context, raw.CurrentContext, c.Config.Host)
	}
	c.Namespace = cmp.Or(c.Namespace, "default")
	c.Config.UserAgent = a.UserAgent
	c.Config.QPS, c.Config.Burst = a.QPS, a.Burst
	if a.QPS == 0 {
		c.Config.QPS = -1 // client-go's way to say: no limit
	}
	if a.Wrap != nil {
		c.Config.Wrap(a.Wrap)
	}
	if c.Dynamic, err = dynamic.NewForConfig(c.Config); err != nil {
		return nil, fmt.Errorf("prepare the client: %w", err)
	}
	if c.Discovery, err = discovery.NewDiscoveryClientForConfig(c.Config); err != nil {
		return nil, fmt.Errorf("prepare the client: %w", err)
	}
	return c, nil
}

// unquoted keeps back what the YAML library quotes of a file that it can't read: it may be a token.
func unquoted(err error) error {
	const key = "invalid map key" // a mapping or a list where a name should stand, with all that is in it
	if said, _, quotes := strings.Cut(err.Error(), key); quotes {
		return errors.New(said + key)
	}
	return err
}

// podNamespace is empty where no file tells it.
func podNamespace() string {
	f, err := os.Open(namespaceFile)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, maxNamespaceFile)
	n, _ := f.Read(b)
	return strings.TrimSpace(string(b[:n]))
}
