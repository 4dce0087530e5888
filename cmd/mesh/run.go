package main

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/readable"
)

func newRunCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a node in the foreground",
		Example: "  mesh run --zone east --invite\n" +
			"  mesh run --zone west --folder west --join-file west.token\n" +
			"  mesh run --zone east --context kind-east -c config.yaml\n" +
			"  mesh run -c config.yaml --check-config",
		Long: "Flags beat the environment, which beats the config file. Without a config file and a key, a key is " +
			"made. --invite is for the first node of a mesh; the command that it prints joins another one. SIGTERM and Ctrl-C stop the node in an orderly way, within 10 seconds; a second one stops it at " +
			"once. SIGHUP reads nodes and log_level from the config file again. With a Kubernetes cluster, of several " +
			"processes for one zone only the one that holds the Lease mesh-ZONE works; the others stand by.",
		Annotations: map[string]string{annotationExits: "0 1 2 6 130", annotationEnv: "MESH_CONFIG PRIVATE_KEY XDG_CONFIG_HOME KUBECONFIG"},
	}
	r := &runFlags{}
	r.add(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		o := r.options(c.Flags())
		cfg, err := loadConfig(e, o)
		if err != nil {
			return err
		}
		switch {
		case r.print:
			var b strings.Builder
			if err := cfg.Print(&b); err != nil {
				return err
			}
			return e.printf("%s", b.String())
		case r.check:
			return checkConfig(e, cfg)
		}
		return runNode(c.Context(), e, cfg, o, runOptions{strictPort: r.strictPort || cfg.Kubernetes.InCluster, invite: r.invite})
	}
	return c
}

// runFlags are the flags of mesh run. Those that set a key of the config do it by that key's own rules.
type runFlags struct {
	config     string
	peers      []string
	strictPort bool
	invite     bool
	check      bool
	print      bool
}

// configFlags names the flags that stand for a key of the config.
func configFlags() map[string]string {
	return map[string]string{
		"private-key-path": "private_key_path",
		"log-level":        "log_level",
		"log-format":       "log_format",
		"zone":             "mesh.zone",
		"network-id":       "network_id",
		"bind-port":        "bind_port",
		"http-bind-port":   "http_bind_port",
		"advertise":        "advertise",
		"data-dir":         "data_dir",
		"join-file":        "join.token_file",
		"folder":           "kubernetes.folder",
		"incluster":        "kubernetes.incluster",
		"context":          "kubernetes.external.kube_context",
		"namespace":        "kubernetes.namespace",
	}
}

func (r *runFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&r.config, "config", "c", "", "read this config `FILE`")
	f.StringP("private-key-path", "k", "", "the key `FILE` of the node")
	f.StringP("log-level", "l", "", "what is logged: a `FILTER` such as INFO or mesh.sync=DEBUG")
	f.String("log-format", "", "log as `auto|text|json`")
	f.String("zone", "", "the `NAME` of this cluster in the mesh")
	f.String("network-id", "", "the `ID` of the mesh; nodes with another one are refused")
	f.Uint16("bind-port", 0, "the `PORT` for peers, UDP and TCP")
	f.Uint16("http-bind-port", 0, "the `PORT` for health and metrics")
	f.StringArrayVar(&r.peers, "peer", nil, "know and admit the node `KEY@HOST:PORT`; may be repeated")
	f.StringArray("advertise", nil, "tell peers to reach this node at `HOST:PORT`; may be repeated")
	f.String("data-dir", "", "the `DIR` of the store and the API socket")
	f.BoolVar(&r.invite, "invite", false, "print an invitation for another node when this one is ready; implies mesh.bootstrap")
	f.String("join-file", "", "join with the token in `FILE`, unless this node is a member already")
	f.String("folder", "", "let this `DIR` of manifests play the cluster")
	f.Bool("incluster", false, "use the cluster of the pod that this runs in; implies --strict-port")
	f.String("context", "", "use the cluster of the kubeconfig's context `NAME`")
	f.StringP("namespace", "n", "", "the namespace `NS` of mesh's own objects")
	f.BoolVar(&r.strictPort, "strict-port", false, "fail when a port is taken instead of using another one")
	f.BoolVar(&r.check, "check-config", false, "say whether the configuration is valid, and exit")
	f.BoolVar(&r.print, "print-config", false, "print every value and where it comes from, and exit")
	groupFlags(c, "node", "zone", "network-id", "private-key-path", "data-dir", "config")
	groupFlags(c, "joining", "invite", "join-file")
	groupFlags(c, "cluster", "incluster", "context", "namespace", "folder")
	groupFlags(c, "network", "peer", "advertise", "bind-port", "http-bind-port", "strict-port")
	groupFlags(c, "logging", "log-level", "log-format")
	groupFlags(c, "without starting", "check-config", "print-config")
	_ = c.RegisterFlagCompletionFunc("config", completeFiles("yaml", "yml"))
	_ = c.RegisterFlagCompletionFunc("log-level", completeValues("OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "=TRACE"))
	_ = c.RegisterFlagCompletionFunc("log-format", completeValues("auto", "text", "json"))
	c.MarkFlagsMutuallyExclusive("check-config", "print-config")
}

// options turns the flags that were given into layers of the configuration.
func (r *runFlags) options(f *pflag.FlagSet) config.Options {
	o := config.Options{Path: r.config, Peers: r.peers, RequireZone: !r.print}
	keys := configFlags()
	f.Visit(func(flag *pflag.Flag) {
		key, ok := keys[flag.Name]
		if !ok {
			return
		}
		values := []string{flag.Value.String()}
		switch v := flag.Value.(type) {
		case pflag.SliceValue:
			values = v.GetSlice()
		}
		o.Overrides = append(o.Overrides, config.Override{Key: key, Origin: "--" + flag.Name, Values: values})
	})
	return o
}

// checkConfig is reached by a valid configuration; it looks at the key too.
func checkConfig(e *env, cfg *config.Config) error {
	key, err := nodeKey(e, cfg, false)
	if err != nil {
		return err
	}
	var own keys.Public // zero: the key is made at the first start
	if !key.IsZero() {
		own = key.Public()
	}
	if err := cfg.CheckOwnKey(own); err != nil {
		return configError(err)
	}
	where := cfg.File
	if where == "" {
		where = "the configuration"
	}
	return e.printf("%s is valid: zone %s, network %s, %s, %s\n", where, cmp.Or(string(cfg.Mesh.Zone), "of the token"), strconv.Quote(string(cfg.NetworkID)),
		readable.Count(len(cfg.Nodes), "node"), readable.Count(len(cfg.Mesh.Resources), "resource"))
}
