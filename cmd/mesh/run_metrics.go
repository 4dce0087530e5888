package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"dcp.hiro.io/mesh/internal/config"
)

// newRegistry is the one registry of a node: nothing in this process uses the global one.
func newRegistry(cfg *config.Config) *prometheus.Registry {
	v := buildVersion()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mesh_build_info", Help: "The running version; always 1."},
		[]string{"version", "revision", "goversion"})
	build.WithLabelValues(v.Version, v.Revision, v.GoVersion).Set(1)
	node := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mesh_node_info", Help: "The zone and network of this node; always 1."},
		[]string{"mesh_zone", "network"})
	node.WithLabelValues(string(cfg.Mesh.Zone), string(cfg.NetworkID)).Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(build, node, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
