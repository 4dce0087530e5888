package main

import (
	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
)

// debug is what this process tells about itself to whoever looks for a fault.
func (r *running) debug() admin.Debug {
	r.showConfig()
	return admin.Debug{
		Config: func() []admin.ConfigValue { return *r.values.Load() },
		Logs:   func() []byte { return r.logs.Recent(r.e.now()) },
	}
}

// showConfig takes over what the configuration says now: it is asked for while it may be reloaded.
func (r *running) showConfig() {
	values := configValues(r.cfg)
	r.values.Store(&values)
}

// configValues lists a configuration as the API does.
func configValues(cfg *config.Config) []admin.ConfigValue {
	values := cfg.Values()
	out := make([]admin.ConfigValue, 0, len(values))
	for _, v := range values {
		out = append(out, admin.ConfigValue{Key: v.Key, Values: v.Values, Origin: v.Origin.String()})
	}
	return out
}
