package logging_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/logging"
)

func TestFilterLevels(t *testing.T) {
	t.Parallel()
	const off, trace = logging.LevelOff, logging.LevelTrace
	const errs, warn, info, debug = slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug
	tests := []struct {
		filter string
		want   map[logging.Target]slog.Level
	}{
		{"", map[logging.Target]slog.Level{"mesh": info, "mesh.sync": info, "libp2p": warn, "libp2p.swarm2": warn, "quic": warn}},
		{"INFO", map[logging.Target]slog.Level{"mesh": info, "mesh.net": info, "meshes": warn, "go": warn}},
		{"debug", map[logging.Target]slog.Level{"mesh": debug, "libp2p": warn}},
		{"Error", map[logging.Target]slog.Level{"mesh": errs, "libp2p": errs}},
		{"OFF", map[logging.Target]slog.Level{"mesh": off, "libp2p": off, "quic": off}},
		{"=TRACE", map[logging.Target]slog.Level{"mesh": trace, "libp2p.net.identify": trace, "go": trace}},
		{"mesh=DEBUG,libp2p=WARN", map[logging.Target]slog.Level{"mesh": debug, "mesh.log": debug, "libp2p.net.identify": warn, "quic": warn}},
		{"INFO, mesh.sync=TRACE", map[logging.Target]slog.Level{"mesh": info, "mesh.sync": trace, "mesh.synchronous": info}},
		{"mesh.sync=trace,mesh=off", map[logging.Target]slog.Level{"mesh": off, "mesh.sync": trace, "mesh.http": off}},
		{"libp2p=debug,libp2p.swarm2=error", map[logging.Target]slog.Level{"mesh": info, "libp2p.swarm2": errs, "libp2p.relay": debug}},
		{"INFO,libp2p.net.identify=info", map[logging.Target]slog.Level{"libp2p.net.identify": info}},
		{"INFO", map[logging.Target]slog.Level{"libp2p.net.identify": errs, "libp2p.p2p-config": off}},
	}
	for _, tt := range tests {
		f, err := logging.ParseFilter(tt.filter)
		if err != nil {
			t.Errorf("ParseFilter(%q) = %v", tt.filter, err)
			continue
		}
		for target, want := range tt.want {
			if got := f.Level(target); got != want {
				t.Errorf("ParseFilter(%q).Level(%s) = %v, want %v", tt.filter, target, logging.LevelName(got), logging.LevelName(want))
			}
		}
	}
}

func TestFilterRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct{ filter, want string }{
		{"INFOO", `log filter: "INFOO" is no level; want OFF, ERROR, WARN, INFO, DEBUG, TRACE; did you mean "INFO"?`},
		{"warning", `did you mean "WARN"?`},
		{"mesh=DEBG", `"DEBG" is no level; want OFF, ERROR, WARN, INFO, DEBUG, TRACE; did you mean "DEBUG"?`},
		{"mesh.snyc=DEBUG", `"mesh.snyc" is no target; want one of mesh, mesh.net, mesh.join, mesh.sync, mesh.merge, mesh.log, mesh.folder, mesh.kube, mesh.http, libp2p, quic, client-go, go; did you mean "mesh.sync"?`},
		{"Mesh=DEBUG", `did you mean "mesh"?`},
		{"libp2p.=DEBUG", `"libp2p." is no target`},
		{"mesh=", `"" is no level`},
		{"INFO,", "an entry is empty"},
		{"INFO,DEBUG", `"DEBUG" is a second level without a target`},
		{"mesh=INFO,mesh=WARN", "mesh is given twice"},
		{strings.Repeat("INFO,", 100), "101 entries, at most 64 are read"},
		{strings.Repeat("x", 5000), "5000 bytes long"},
		{strings.Repeat("x", 500), "…"},
	}
	for _, tt := range tests {
		_, err := logging.ParseFilter(tt.filter)
		var fe *logging.FilterError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseFilter(%.40q) = %v, want an error with %q", tt.filter, err, tt.want)
		}
	}
}

// Whatever is accepted prints as a filter that means the same.
func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"INFO", "=TRACE", "mesh=DEBUG,libp2p=WARN", "off,libp2p.net.identify=info", "mesh.snyc=x", ",", "="} {
		f.Add(s)
	}
	probe := []logging.Target{"mesh", "mesh.sync", "libp2p", "libp2p.swarm2", "libp2p.net.identify", "quic", "x"}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := logging.ParseFilter(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("ParseFilter(%q): error of more than one printable line: %q", s, err)
			}
			return
		}
		b, err := logging.ParseFilter(a.String())
		if err != nil {
			t.Fatalf("ParseFilter(%q).String() = %q: %v", s, a, err)
		}
		for _, p := range probe {
			if a.Level(p) != b.Level(p) {
				t.Fatalf("%q and %q differ for %s: %v, %v", s, a, p, a.Level(p), b.Level(p))
			}
		}
	})
}
