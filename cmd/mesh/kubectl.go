package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/kube/remote"
)

// Names by which kubectl calls the program: for `kubectl mesh`, and for what completes it.
const (
	pluginFile     = "kubectl-mesh"
	completionFile = "kubectl_complete-mesh"
)

// Names by which people call it.
const (
	plainName  = "mesh"
	pluginName = "kubectl mesh"
)

// programFile is the name that the program was called by, without folder and extension.
func programFile(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(args[0]), ".exe")
}

// isPlugin reports whether kubectl called the program.
func isPlugin(args []string) bool {
	return slices.Contains([]string{pluginFile, completionFile}, programFile(args))
}

// kubernetesHeading is that of the flags below in help.
const kubernetesHeading = "kubernetes"

// kubeFlags say which cluster a command asks about, with the names and the meaning that they have in kubectl.
type kubeFlags struct {
	config *genericclioptions.ConfigFlags
	set    *pflag.FlagSet // where they are, to know which were given
	use    bool
	via    string
}

// kubeFlag words one of kubectl's flags as the other flags are worded.
type kubeFlag struct {
	name, usage string
	everyday    bool // shown in the help of every command; the others are in mesh help kube
}

func kubeFlagTable() []kubeFlag {
	return []kubeFlag{
		{"kubeconfig", "use this kubeconfig `FILE`", true},
		{"context", "use this `CONTEXT` of the kubeconfig", true},
		{"namespace", "the `NAMESPACE` in which mesh runs", true},
		{"cluster", "use this `CLUSTER` of the kubeconfig", false},
		{"user", "use this `USER` of the kubeconfig", false},
		{"server", "ask the API server at this `URL`", false},
		{"as", "ask in the name of this `USER`", false},
		{"as-group", "ask in the name of this `GROUP`, repeatable", false},
		{"as-uid", "ask in the name of this `UID`", false},
		{"as-user-extra", "`KEY=VALUE` about that user, repeatable", false},
		{"token", "show the API server this bearer `TOKEN`", false},
		{"client-certificate", "show the API server the certificate in `FILE`", false},
		{"client-key", "the `FILE` with the key of that certificate", false},
		{"certificate-authority", "check the API server's certificate by `FILE`", false},
		{"tls-server-name", "the `NAME` in the API server's certificate", false},
		{"insecure-skip-tls-verify", "do not check the API server's certificate", false},
		{"proxy-url", "reach the API server through this proxy `URL`", false},
		{"request-timeout", "give up each request after this `DURATION`", false},
		{"disable-compression", "ask for answers that are not compressed", false},
		{"cache-dir", "taken as kubectl does; `DIR` is not used", false},
	}
}

// addKubeFlags defines them.
func addKubeFlags(e *env, fs *pflag.FlagSet) {
	k := &e.kube
	k.config = genericclioptions.NewConfigFlags(false)
	k.set = pflag.NewFlagSet("kubernetes", pflag.ContinueOnError)
	k.config.AddFlags(k.set)
	k.set.VisitAll(func(f *pflag.Flag) { f.Hidden = true })
	for _, t := range kubeFlagTable() {
		f := k.set.Lookup(t.name)
		f.Usage, f.DefValue, f.Hidden = t.usage, "", !t.everyday
	}
	k.via = string(remote.Auto)
	k.set.Var(newChoice(&k.via, remote.Vias()...), "via", "ask the live node this `WAY`: "+orList(remote.Vias()))
	k.set.BoolVar(&k.use, "kube", false, "ask a cluster, as kubectl mesh does")
	k.set.Lookup("kube").Hidden = e.plugin
	k.set.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{annotationGroup: {kubernetesHeading}}
	})
	fs.AddFlagSet(k.set)
}

// refuseKube has the commands that make a node refuse the flags: they would mean a cluster to them that is not the one
// they work on.
func refuseKube(e *env, root *cobra.Command) {
	for _, name := range []string{"run", "join", "keygen", "demo"} {
		top := find(root, name)
		if top == nil {
			continue
		}
		walk(top, func(c *cobra.Command) {
			runE := c.RunE
			if runE == nil {
				return
			}
			c.RunE = func(c *cobra.Command, args []string) error {
				if given := e.kube.given(); len(given) > 0 {
					return usageError(c, c.CommandPath()+" takes no --"+given[0], "it says which cluster is asked about its node, and this asks none")
				}
				return runE(c, args)
			}
		})
	}
}

// completeKube completes the values of the flags.
func completeKube(e *env, root *cobra.Command) {
	k := &e.kube
	register := func(flag string, values func() []string) {
		_ = root.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return values(), cobra.ShellCompDirectiveNoFileComp
		})
	}
	register("via", remote.Vias)
	register("context", func() []string { return k.named("contexts") })
	register("cluster", func() []string { return k.named("clusters") })
	register("user", func() []string { return k.named("users") })
	register("namespace", func() []string {
		c, err := openCluster(e, false)
		if err != nil {
			return nil // a shell that completes shows no errors
		}
		defer c.cluster.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), e.flags.timeout)
		defer cancel()
		names, _ := c.cluster.Namespaces(ctx) // as above
		return names
	})
}

// named lists what a kubeconfig has of one kind.
func (k *kubeFlags) named(kind string) []string {
	raw, err := k.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil
	}
	var names []string
	switch kind {
	case "contexts":
		for n := range raw.Contexts {
			names = append(names, n)
		}
	case "clusters":
		for n := range raw.Clusters {
			names = append(names, n)
		}
	case "users":
		for n := range raw.AuthInfos {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// given lists those that were given, in order of name.
func (k *kubeFlags) given() []string {
	var names []string
	k.set.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			names = append(names, f.Name)
		}
	})
	return names
}

// throughKubernetes decides whether a command asks the node of a Kubernetes cluster. kubectl mesh does, unless a node is
// named; mesh does only with a flag that says so.
func (f *nodeFlags) throughKubernetes(e *env) (bool, error) {
	given := e.kube.given()
	chosen := slices.ContainsFunc(given, func(n string) bool { return slices.Contains([]string{"kube", "context", "kubeconfig"}, n) })
	direct := ""
	for _, other := range []struct{ flag, value string }{{"archive", e.flags.archive}, {"node", e.flags.node}, {"config", f.config}, {"data-dir", f.dataDir}} {
		if other.value != "" {
			direct = other.flag
		}
	}
	switch {
	case len(given) > 0 && direct != "":
		return false, &cliError{Code: "MESH-2002", What: "--" + direct + " excludes --" + given[0], Cause: "both say which node to ask",
			Next: []string{"the same command with one of them"}}
	case f.allNamespaces && !e.plugin && !chosen, len(given) > 0 && !e.plugin && !chosen:
		flag := "all-namespaces"
		if len(given) > 0 {
			flag = given[0]
		}
		return false, &cliError{Code: "MESH-2002", What: "--" + flag + " is about a Kubernetes cluster, and none was chosen",
			Cause: "mesh asks a cluster only with --kube, --context or --kubeconfig", Next: []string{"the same command with --kube"}}
	}
	return chosen || e.plugin && direct == "", nil
}

// openedCluster is a cluster that can be asked.
type openedCluster struct {
	cluster *remote.Cluster
	name    string // for people
}

// openCluster reads what the flags say about the cluster. It sends no request.
func openCluster(e *env, allNamespaces bool) (openedCluster, error) {
	kube.SetLogger(slog.New(slog.DiscardHandler)) // what matters is in errors and warnings
	k := &e.kube
	loader := k.config.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return openedCluster{}, kubeconfigError(err)
	}
	if *k.config.Context != "" && raw.Contexts[*k.config.Context] == nil {
		return openedCluster{}, contextError(*k.config.Context, k.named("contexts"))
	}
	if len(raw.Clusters) == 0 && *k.config.APIServer == "" && e.getenv("KUBERNETES_SERVICE_HOST") == "" {
		return openedCluster{}, kubeconfigError(kube.ErrNoKubeconfig)
	}
	access, err := k.config.ToRESTConfig()
	if err != nil {
		return openedCluster{}, kubeconfigError(err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return openedCluster{}, kubeconfigError(err)
	}
	where := *k.config.Context
	if where == "" {
		where = raw.CurrentContext
	}
	if where == "" {
		where = access.Host
	}
	c, err := remote.Open(remote.Config{
		REST: access, Namespace: namespace, AllNamespaces: allNamespaces, Via: remote.Via(k.via), UserAgent: "kubectl-mesh/" + buildVersion().Version,
		Warning: func(text string) { e.warn("%s", text) },
		NotLive: func(_ string, why error) { e.warn("%s", notLiveText(e, why)) },
		Elsewhere: func(others []string) {
			if len(others) == 0 {
				e.note("no MeshPeers are in namespace %s; name the one in which mesh runs: %s -n NAMESPACE peers", namespace, e.name())
				return
			}
			e.note("no MeshPeers are in namespace %s; there are some in %s: %s -n %s peers", namespace, strings.Join(others, ", "), e.name(), others[0])
		},
	})
	if err != nil {
		return openedCluster{}, kubeconfigError(err)
	}
	return openedCluster{c, where + "/" + namespace}, nil
}

// clientThroughKubernetes returns a client of the node that runs in a cluster. The caller closes it.
func (f *nodeFlags) clientThroughKubernetes(e *env) (*admin.Client, error) {
	c, err := openCluster(e, f.allNamespaces)
	if err != nil {
		return nil, err
	}
	return admin.NewClientOver(c.cluster, c.name, e.flags.timeout), nil
}

// addAllNamespaces gives c the flag -A.
func (f *nodeFlags) addAllNamespaces(c *cobra.Command) {
	c.Flags().BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "of every namespace of the Kubernetes cluster")
}

// asksNode reports whether a command is about a node, which --node and the flags of Kubernetes choose.
func asksNode(c *cobra.Command) bool {
	f := c.Flags().Lookup("data-dir")
	return f != nil && slices.Equal(f.Annotations[annotationGroup], []string{whichNode})
}

// kubeconfigError words what is wrong with what the flags and the kubeconfig say.
func kubeconfigError(err error) error {
	cause := rootCause(err)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		cause = file
	}
	return &cliError{Code: "MESH-2701", What: "cannot use the kubeconfig", Cause: cause.Error(),
		Next: []string{"kubectl config view", "or name one with --kubeconfig FILE"}, Err: err}
}

func contextError(name string, known []string) error {
	return &cliError{Code: "MESH-2702", What: fmt.Sprintf("there is no context %q", name) + didYouMean(name, known),
		Cause: "the kubeconfig has: " + nameList(known), Next: []string{"kubectl config get-contexts"}}
}

// notLiveText says in one line why only MeshPeers were read.
func notLiveText(e *env, why error) string {
	const what = "only MeshPeers were read, what the live node knows is missing: "
	var told *cliError
	if !errors.As(kubeError(e, why), &told) {
		return what + oneLine(why.Error())
	}
	text := what + told.Cause
	if len(told.Next) > 0 {
		text += "; " + told.Next[0]
	}
	return text
}
