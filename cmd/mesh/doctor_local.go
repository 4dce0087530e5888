package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/doctor"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/logging"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/store"
)

// setup is what the checks of configuration, key and machine look at: read once, when the first of them runs.
type setup struct {
	e    *env
	opts config.Options
	// adjust fills in what a running node has by now and no file says; nil: nothing.
	adjust func(*config.Config)

	once     sync.Once
	cfg      *config.Config // nil: err says why
	warnings []config.Warning
	err      error
}

// read reads the configuration as a start would, and tells nobody.
func (s *setup) read() (*config.Config, error) {
	s.once.Do(func() {
		o := s.opts
		o.Environ = s.e.environ()
		o.CheckLogLevel = func(filter string) error {
			_, err := logging.ParseFilter(filter)
			return err
		}
		if o.Path != "" {
			o.Path = s.e.path(o.Path)
		}
		s.cfg, s.warnings, s.err = config.Load(o)
		if s.err == nil && s.cfg.File != "" && !o.RequireZone { // without a file the zone comes from a flag
			o.RequireZone = true
			s.cfg, s.warnings, s.err = config.Load(o)
		}
		if s.err == nil && s.adjust != nil {
			s.adjust(s.cfg)
		}
	})
	return s.cfg, s.err
}

// suite holds the checks of configuration, key and disk.
func (s *setup) suite() doctor.Suite {
	out := doctor.Suite{
		"config.valid": func(context.Context) []mesh.CheckResult { return s.valid() },
		"config.warnings": s.with(func(*config.Config) []mesh.CheckResult {
			var out []mesh.CheckResult
			for _, w := range s.warnings {
				out = append(out, doctor.Warn("", string(w), "", "mesh run --print-config"))
			}
			if len(out) == 0 {
				return doctor.OK("the configuration has nothing that a start warns of")
			}
			return out
		}),
		"key.readable": s.with(s.keyReadable),
		"key.mode":     s.with(s.keyMode),
	}
	maps.Copy(out, doctor.OfMachine(s.disk))
	return out
}

// with hands a check the configuration, which config.valid has found well unless it was left out.
func (s *setup) with(look func(*config.Config) []mesh.CheckResult) doctor.Func {
	return func(context.Context) []mesh.CheckResult {
		cfg, err := s.read()
		if err != nil {
			return doctor.Skip("the configuration cannot be read")
		}
		return look(cfg)
	}
}

func (s *setup) valid() []mesh.CheckResult {
	cfg, err := s.read()
	var problems *config.Error
	switch {
	case errors.As(err, &problems):
		next := "mesh run --check-config"
		if problems.File != "" {
			next += " -c " + shellQuote(problems.File)
		}
		var out []mesh.CheckResult
		for _, p := range problems.Problems {
			where := p.Origin.Name
			if p.Line > 0 {
				where = fmt.Sprintf("%s:%d:%d", problems.File, p.Line, p.Column)
			}
			if where != "" {
				where += ": "
			}
			out = append(out, doctor.Fail(p.Path, where+p.Message(), "", next))
		}
		return out
	case err != nil:
		return []mesh.CheckResult{failOf(configError(err))}
	case cfg.File == "":
		return doctor.OK("there is no config file; defaults, environment and flags are valid")
	}
	return doctor.OK("%s is valid", cfg.File)
}

// failOf turns a failure as users are told it into a result.
func failOf(err error) mesh.CheckResult {
	var told *cliError
	if !errors.As(err, &told) {
		return doctor.Fail("", err.Error(), "")
	}
	cause := told.Cause
	if cause == "" && len(told.Details) > 0 {
		cause = told.Details[0]
	}
	return doctor.Fail("", told.What, cause, told.Next...)
}

// key reads the key that a start would take. A zero key without error: none is needed yet.
func (s *setup) key(cfg *config.Config) (keys.Private, error) {
	if text, ok := cfg.Key.Secret(); ok {
		k, err := keys.Parse([]byte(text))
		if err != nil {
			return k, unusableKey("the variable PRIVATE_KEY", err)
		}
		return k, nil
	}
	if _, err := os.Stat(s.e.path(cfg.Key.Path)); errors.Is(err, fs.ErrNotExist) && mayCreateKey(s.e, cfg) {
		return keys.Private{}, nil
	}
	return s.e.readKey(cfg.Key.Path)
}

func (s *setup) keyReadable(cfg *config.Config) []mesh.CheckResult {
	k, err := s.key(cfg)
	switch {
	case err != nil:
		return []mesh.CheckResult{failOf(err)}
	case k.IsZero():
		return doctor.Skip("there is no key yet; the first start makes one")
	}
	if err := cfg.CheckOwnKey(k.Public()); err != nil {
		return []mesh.CheckResult{failOf(configError(err))}
	}
	return doctor.OK("%s holds the key %s", cfg.Key, k.Public().Short())
}

func (s *setup) keyMode(cfg *config.Config) []mesh.CheckResult {
	if _, ok := cfg.Key.Secret(); ok {
		return doctor.OK("the key comes from the environment")
	}
	name := cfg.Key.Path
	info, err := os.Stat(s.e.path(name))
	if err != nil {
		return []mesh.CheckResult{failOf(cannotReadKey(name, err))}
	}
	if readableByOthers(info.Mode()) {
		return []mesh.CheckResult{doctor.Fail(name, fmt.Sprintf("%s is readable by others (mode %04o)", name, info.Mode().Perm()),
			"whoever reads it can pose as this node", "chmod 600 "+shellQuote(name))}
	}
	return doctor.OK("%s is closed to others (mode %04o)", name, info.Mode().Perm())
}

// disk looks at the nearest directory that exists: the data directory is made at the first start.
func (s *setup) disk() (dir string, free, total uint64, err error) {
	cfg, err := s.read()
	if err != nil {
		return "the data directory", 0, 0, errors.New("the configuration cannot be read")
	}
	dir, err = filepath.Abs(s.e.path(cfg.DataDir))
	for err == nil {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	if err == nil {
		free, total, err = store.FreeSpace(filepath.Join(dir, storeName))
	}
	return cfg.DataDir, free, total, err
}

// localDoctor looks at what can be found out without a node.
type localDoctor struct {
	setup
	why, cause string // there is no node
	next       []string
	offline    bool // none was asked
}

func newLocalDoctor(e *env, node *nodeFlags, why string) *localDoctor {
	l := &localDoctor{setup: setup{e: e, opts: config.Options{Path: node.config}}, why: why}
	if node.dataDir != "" {
		l.opts.Overrides = append(l.opts.Overrides, config.Override{Key: "data_dir", Origin: "--data-dir", Values: []string{node.dataDir}})
	}
	return l
}

// explain takes over why no node answered, and reports whether that is a reason to look without one.
func (l *localDoctor) explain(addr string, err *cliError) bool {
	l.cause, l.next = err.Cause, err.Next
	switch {
	case err.Code == admin.CodeUnreachable:
		l.why, l.next = "no node answers at "+addr, []string{"mesh run --zone NAME", "or name another node: mesh doctor --node unix:DIR/api.sock"}
	case err.exitCode() == 3: // it is there, and cannot answer yet
		l.why = err.What
	case err.Code == "MESH-2001" || err.Code == "MESH-2005":
		l.why, l.cause, l.next = "it is not known which node to ask", err.What, nil // config.valid says what to do
	default:
		return false
	}
	return true
}

func (l *localDoctor) suite() doctor.Suite {
	out := l.setup.suite()
	out["network.node"] = func(context.Context) []mesh.CheckResult {
		if l.offline {
			return doctor.Skip(l.why)
		}
		return []mesh.CheckResult{doctor.Fail("", l.why, l.cause, l.next...)}
	}
	out["network.ports"] = l.with(l.ports)
	maps.Copy(out, doctor.OfNetwork(l.dial))
	k := &kubeDoctor{setup: &l.setup, connect: func(cfg *config.Config) (*kube.Connection, error) {
		conn, err := kube.Connect(kubeAccess(cfg.Kubernetes))
		if err != nil {
			return nil, accessError(err)
		}
		return conn, nil
	}}
	maps.Copy(out, k.suite())
	return out
}

// ports tells whether a node could have its ports. Where one may run unasked they are likely to be its own.
func (l *localDoctor) ports(cfg *config.Config) []mesh.CheckResult {
	if l.offline {
		return doctor.Skip(l.why)
	}
	host := ""
	if len(cfg.BindAddress) > 0 {
		host = cfg.BindAddress[0].String()
	}
	var bad []mesh.CheckResult
	var free []string
	for _, p := range []struct {
		name, host string
		port       uint16
	}{{"udp", host, cfg.BindPort}, {"tcp", host, cfg.BindPort}, {"http", cfg.HTTPBindAddress.String(), cfg.HTTPBindPort}} {
		if p.port == 0 {
			continue
		}
		if err := canBind(p.name == "udp", net.JoinHostPort(p.host, strconv.Itoa(int(p.port)))); err != nil {
			bad = append(bad, doctor.Fail("", fmt.Sprintf("%s/%d cannot be bound", p.name, p.port), rootCause(err).Error(),
				fmt.Sprintf("ss -lntup sport = :%d", p.port), "stop what has it, or choose another port in the config"))
			continue
		}
		free = append(free, fmt.Sprintf("%s/%d", p.name, p.port))
	}
	switch n := len(free); {
	case len(bad) > 0:
		return bad
	case n == 0:
		return doctor.Skip("no port is asked for: a node takes any that is free")
	case n == 1:
		return doctor.OK("%s is free for a node", free[0])
	default:
		return doctor.OK("%s and %s are free for a node", strings.Join(free[:n-1], ", "), free[n-1])
	}
}

// canBind binds a port and gives it back.
func canBind(udp bool, at string) error {
	if udp {
		c, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		return c.Close()
	}
	c, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	return c.Close()
}

// dial tries the configured endpoints by TCP.
func (l *localDoctor) dial(ctx context.Context) (doctor.Endpoints, error) {
	cfg, err := l.read()
	if err != nil {
		return doctor.Endpoints{}, errors.New("the configuration cannot be read")
	}
	var own keys.Public // zero: not known, and then it may be dialled, too
	if k, err := l.key(cfg); err == nil && !k.IsZero() {
		own = k.Public()
	}
	return doctor.DialTCP(ctx, configuredEndpoints(cfg, own)), nil
}

// configuredEndpoints lists where the configured nodes are reached, but for one's own.
func configuredEndpoints(cfg *config.Config, own keys.Public) []doctor.Endpoint {
	var out []doctor.Endpoint
	for _, n := range cfg.Nodes {
		if n.Key == own {
			continue
		}
		name := string(n.Zone)
		if name == "" {
			name = "peer-" + n.Key.String()[:8]
		}
		for _, at := range n.Endpoints {
			x := doctor.Endpoint{Peer: name, At: at.String(), Configured: true}
			if !slices.ContainsFunc(out, func(o doctor.Endpoint) bool { return o.At == x.At && o.Peer == x.Peer }) {
				out = append(out, x)
			}
		}
	}
	return out
}
