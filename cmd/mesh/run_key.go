package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
)

// nodeKey reads the key that the configuration names. With create, a node that was given neither a config
// file nor a key gets a new one; without it such a node has the zero key. Anything else that is missing is an
// error: a node that starts in the wrong directory must not become somebody new.
func nodeKey(e *env, cfg *config.Config, create bool) (keys.Private, error) {
	if text, ok := cfg.Key.Secret(); ok {
		k, err := keys.Parse([]byte(text))
		if err != nil {
			return keys.Private{}, unusableKey("the variable PRIVATE_KEY", err)
		}
		return k, nil
	}
	name := cfg.Key.Path
	info, err := os.Stat(e.path(name))
	if errors.Is(err, fs.ErrNotExist) && mayCreateKey(e, cfg) {
		if !create {
			return keys.Private{}, nil
		}
		return newNodeKey(e, name)
	}
	if err == nil && readableByOthers(info.Mode()) {
		e.warn("%s is readable by others (mode %04o): whoever reads it can pose as this node; next: chmod 600 %s",
			name, info.Mode().Perm(), shellQuote(name))
	}
	return e.readKey(name)
}

// mayCreateKey reports whether a missing key is the first start of a node that nobody configured.
func mayCreateKey(e *env, cfg *config.Config) bool {
	if cfg.File != "" || cfg.Key.Origin.Layer != config.FromDefault {
		return false
	}
	_, err := os.Stat(filepath.Join(e.path(cfg.DataDir), storeName))
	return errors.Is(err, fs.ErrNotExist) // a store has an owner, whose key is elsewhere
}

func newNodeKey(e *env, name string) (keys.Private, error) {
	k, err := keys.Generate(rand.Reader)
	if err != nil {
		return keys.Private{}, err
	}
	if _, err := e.writeKey(name, k, false); err != nil {
		return keys.Private{}, err
	}
	return k, nil
}

// readableByOthers looks at more than the owner. Within a pod the group is the pod's own, by which a Secret
// is mounted.
func readableByOthers(m fs.FileMode) bool {
	if _, inPod := os.LookupEnv("KUBERNETES_SERVICE_HOST"); inPod {
		return m.Perm()&0o007 != 0
	}
	return m.Perm()&0o077 != 0
}
