package main

import (
	"errors"
	"strings"

	"dcp.hiro.io/mesh/internal/kube/remote"
)

// kubeError words what went wrong on the way through Kubernetes; nil for what has nothing to do with it.
func kubeError(e *env, err error) error {
	var (
		forbidden    *remote.ForbiddenError
		unknown      *remote.UnauthenticatedError
		notInstalled *remote.NotInstalledError
		noNode       *remote.NoNodeError
		pod          *remote.PodError
		unreachable  *remote.UnreachableError
	)
	switch {
	case errors.Is(err, remote.ErrReadOnly) && errors.As(err, &forbidden):
		return &cliError{Code: "MESH-6903", What: "this needs a port-forward to the node", Cause: forbidden.Error() + "; pods/proxy is for reading only",
			Next: []string{forbidden.CanI()}, Err: err}
	case errors.Is(err, remote.ErrReadOnly) && !errors.As(err, &pod):
		return &cliError{Code: "MESH-6903", What: "this needs a port-forward to the node", Cause: "pods/proxy is for reading only",
			Next: []string{"the same command with --via port-forward"}, Err: err}
	case errors.Is(err, remote.ErrViaNone):
		return &cliError{Code: "MESH-2002", What: "--via none leaves only what MeshPeers tell", Cause: "this is known to the live node alone",
			Next: []string{"the same command without --via none"}, Err: err}
	case errors.As(err, &forbidden):
		return &cliError{Code: "MESH-6901", What: "you are not allowed to do this through the API server", Cause: forbidden.Error(),
			Next: []string{forbidden.CanI()}, Err: err}
	case errors.As(err, &unknown):
		return &cliError{Code: "MESH-6902", What: "the API server does not know you", Cause: unknown.Text,
			Next: []string{"kubectl auth whoami"}, Err: err}
	case errors.As(err, &notInstalled):
		return &cliError{Code: "MESH-3903", What: "mesh is not installed in this cluster", Cause: "the API server serves no MeshPeers (meshpeers.dcp.hiro.io)",
			Next: []string{"helm install mesh charts/mesh-controller -n mesh-system --create-namespace --set mesh.zone=NAME",
				"or another cluster: " + e.name() + " --context CONTEXT peers"}, Err: err}
	case errors.As(err, &noNode):
		return noNodeError(e, noNode, err)
	case errors.As(err, &pod) && errors.Is(err, remote.ErrNoProxy):
		return &cliError{Code: "MESH-3904", What: "cannot reach the node in pod " + pod.Pod, Cause: "it does not serve its API to pods/proxy; api.proxy is off",
			Next: []string{"helm upgrade with --set api.proxy=true", "or ask by port-forward: --via port-forward"}, Err: err}
	case errors.As(err, &pod):
		return &cliError{Code: "MESH-3904", What: "cannot reach the node in pod " + pod.Pod, Cause: pod.Err.Error() + " (by " + string(pod.Via) + ")",
			Next: []string{"kubectl -n " + pod.Namespace + " describe pod " + pod.Pod}, Err: err}
	case errors.As(err, &unreachable):
		return &cliError{Code: "MESH-3901", What: "cannot reach the API server at " + unreachable.Host, Cause: rootCause(unreachable).Error(),
			Next: []string{"kubectl cluster-info", "or name another cluster: --context CONTEXT"}, Err: err}
	}
	return nil
}

func noNodeError(e *env, none *remote.NoNodeError, err error) error {
	c := &cliError{Code: "MESH-3902", What: "no mesh node runs in namespace " + none.Namespace, Err: err,
		Cause: "no pod there has the label app.kubernetes.io/part-of=mesh"}
	switch {
	case none.Pod != "":
		c.Cause = "pod " + none.Pod + " is " + none.Phase
		c.Next = []string{"kubectl -n " + none.Namespace + " describe pod " + none.Pod}
	case len(none.Elsewhere) > 0:
		c.Cause = "no MeshPeers are there; there are some in " + strings.Join(none.Elsewhere, ", ")
		c.Next = []string{e.name() + " -n " + none.Elsewhere[0] + " status"}
	default:
		c.Next = []string{"kubectl get pods -A -l app.kubernetes.io/part-of=mesh", "then: " + e.name() + " -n NAMESPACE status"}
	}
	return c
}

func kubectlCodes() []errorCode {
	return []errorCode{
		{"MESH-3901", "the API server is not reached", "" +
			"kubectl mesh, and mesh with --kube, --context or --kubeconfig, ask the API server that the kubeconfig names. It does " +
			"not answer, or something else does. kubectl itself has the same trouble: kubectl cluster-info."},
		{"MESH-3902", "no node runs in the namespace", "" +
			"The live node is looked for in the namespace that -n names, else that of the context: a running pod with the label " +
			"app.kubernetes.io/part-of=mesh, as the Helm chart makes it. Of several replicas the one is asked that holds the lease. " +
			"Where MeshPeers are found in other namespaces, the error names them."},
		{"MESH-3903", "the cluster knows no MeshPeers", "" +
			"The definition meshpeers.dcp.hiro.io is not installed. The Helm chart brings it; mesh crd prints it for kubectl apply. " +
			"Perhaps the current context is another cluster: kubectl config current-context."},
		{"MESH-3904", "the node in the pod is not reached", "" +
			"The pod is there, and its API did not answer. By port-forward the API server asks the kubelet of the pod's machine to " +
			"connect port 3001 of the pod's loopback address, where the node listens (api.listen). By pods/proxy it connects port 3000 " +
			"of the pod itself, where the node serves its API only with api.proxy; a NetworkPolicy may forbid that."},
		{"MESH-6901", "the API server refuses this to you", "" +
			"Reading MeshPeers needs get and list on meshpeers.dcp.hiro.io; the live node needs get and list on pods and get and create " +
			"on pods/portforward, or else get on pods/proxy. The chart's ClusterRole mesh-operator grants them to whoever is admin of " +
			"the namespace. The error names the verb that is missing, and the command that asks the API server about it."},
		{"MESH-6902", "the API server does not know who asks", "" +
			"The credentials of the kubeconfig, or of --token, are not accepted: they have expired, or are for another cluster. Log in " +
			"the way your cluster wants it; kubectl auth whoami shows whether that worked."},
		{"MESH-6903", "a port-forward is needed", "" +
			"What changes something goes through a port-forward into the pod only, which needs get and create on pods/portforward. " +
			"Through pods/proxy a node lets itself be read, nothing else."},
	}
}
