package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/store"
)

// configFileName is the config file that is written unless another is named; mesh run finds it there.
const configFileName = "config.yaml"

// newConfigText begins a config file that joining makes.
const newConfigText = "# Configuration of this mesh node, made by mesh join. Every key: mesh help config\n"

// nodeFiles are the files that make a node what it is: its config, and its key.
type nodeFiles struct {
	config  string // its name, as the user gave it
	exists  bool
	old     []byte
	cfg     *config.Config // what it says; nil: there is none
	keyFile string
	keyPath string // for private_key_path; empty: that stays as it is
	dataDir string

	keyInEnv bool
}

// nodeFiles finds config and key: those that flags name, else those that mesh run would use.
func (e *env) nodeFiles(configFlag, keyFlag string) (nodeFiles, error) {
	f := nodeFiles{config: configFlag}
	if f.config == "" {
		f.config = e.getenv("MESH_CONFIG")
	}
	if f.config == "" {
		f.config = configFileName
	}
	b, err := os.ReadFile(e.path(f.config))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.old = []byte(newConfigText)
		if dir, err := os.Stat(e.path(filepath.Dir(f.config))); err != nil || !dir.IsDir() {
			return f, &cliError{Code: "MESH-2503", What: "cannot write the config " + f.config, Cause: "there is no directory " + filepath.Dir(f.config),
				Next: []string{"mkdir -p " + shellQuote(filepath.Dir(f.config)), "the same command again"}}
		}
		return f, f.chooseKey(e, keyFlag)
	case err != nil:
		return f, configError(&config.FileError{Path: f.config, Err: err})
	}
	f.exists, f.old = true, b
	o := config.Options{Path: f.config}
	if keyFlag != "" {
		o.Overrides = []config.Override{{Key: "private_key_path", Origin: "--private-key-path", Values: []string{keyFlag}}}
	}
	if f.cfg, err = loadConfig(e, o); err != nil {
		return f, err
	}
	f.dataDir = f.cfg.DataDir
	_, f.keyInEnv = f.cfg.Key.Secret()
	f.keyFile = f.cfg.Key.Path
	if !f.keyInEnv && (f.cfg.PrivateKeyPath == "" || keyFlag != "") {
		f.keyPath = f.keyFile
	}
	return f, nil
}

// chooseKey is for a node without a config.
func (f *nodeFiles) chooseKey(e *env, keyFlag string) error {
	f.dataDir = config.Default().DataDir
	_, given := e.lookupEnv("PRIVATE_KEY")
	switch {
	case keyFlag != "":
		f.keyFile = keyFlag
	case given:
		f.keyInEnv = true
		return nil
	default:
		f.keyFile = keyFileName
	}
	f.keyPath = f.keyFile
	return nil
}

// zone is the one that the config names, or empty.
func (f *nodeFiles) zone() mesh.Zone {
	if f.cfg == nil {
		return ""
	}
	return f.cfg.Mesh.Zone
}

// network is the id that the config names, and whether it names one.
func (f *nodeFiles) network() (mesh.NetworkID, bool) {
	if f.cfg == nil {
		return "", false
	}
	return f.cfg.NetworkID, f.cfg.Origin("network_id").Layer != config.FromDefault
}

func (f *nodeFiles) keyName() string {
	if f.keyInEnv {
		return "in PRIVATE_KEY"
	}
	return f.keyFile
}

// runCommand starts the node with these files.
func (f *nodeFiles) runCommand() string {
	if f.config == configFileName {
		return "mesh run"
	}
	return "mesh run -c " + shellQuote(f.config)
}

// readKey reads the key, and whether there is one.
func (f *nodeFiles) readKey(e *env) (keys.Private, bool, error) {
	if f.keyInEnv {
		text := e.getenv("PRIVATE_KEY")
		k, err := keys.Parse([]byte(text))
		if err != nil {
			err = unusableKey("the variable PRIVATE_KEY", err)
		}
		return k, true, err
	}
	info, err := os.Lstat(e.path(f.keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return keys.Private{}, false, nil
	}
	if err == nil && info.Mode().IsRegular() && readableByOthers(info.Mode()) {
		e.warn("%s is readable by others (mode %04o): whoever reads it can pose as this node; next: chmod 600 %s", f.keyFile, info.Mode().Perm(), shellQuote(f.keyFile))
	}
	k, err := e.readKey(f.keyFile)
	return k, true, err
}

// checkStore refuses to make the node somebody else than its store says it is, and to edit the config of one that runs.
func (f *nodeFiles) checkStore(e *env, network mesh.NetworkID, zone mesh.Zone, key keys.Public) error {
	path := filepath.Join(e.path(f.dataDir), storeName)
	s, err := store.OpenReadOnly(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, store.ErrOlder):
		return nil // one of an older version is looked at when the node starts
	case errors.Is(err, store.ErrLocked):
		return &cliError{Code: "MESH-6302", What: path + " is in use", Cause: "a node runs here; stop it first, it reads what joining writes when it starts",
			Next: []string{"mesh status --data-dir " + shellQuote(filepath.Dir(path)), "the same command, when it has stopped"}, Err: err}
	case err != nil:
		return storeOpenError(path, err)
	}
	defer s.Close()
	index, err := s.Load()
	if err != nil {
		return storeOpenError(path, err)
	}
	m := index.Meta
	if m == nil || m.Network == network && m.Zone == zone && m.Author == key {
		return nil
	}
	return storeOpenError(path, &store.ForeignError{Path: path, Have: store.Identity{Network: m.Network, Zone: m.Zone, Author: m.Author},
		Want: store.Identity{Network: network, Zone: zone, Author: key}})
}

// edited is the config as it is to be.
func (f *nodeFiles) edited(ed config.Edit) ([]byte, config.Changed, error) {
	text, done, err := ed.Apply(f.old)
	if err == nil {
		return text, done, nil
	}
	cause := err.Error()
	var refused *config.EditError
	if errors.As(err, &refused) && refused.Line > 0 {
		cause = fmt.Sprintf("%s:%d: %s", f.config, refused.Line, refused.Reason)
	}
	return nil, done, &cliError{Code: "MESH-2503", What: "cannot edit " + f.config + "; nothing was redeemed", Cause: cause,
		Next: []string{"mend that, then the same command again", "or write another file: mesh join TOKEN -c other.yaml"}, Err: err}
}

// checkWritable makes sure that the config can be written, while nothing has been redeemed.
func (f *nodeFiles) checkWritable(e *env) error {
	temp := besideFile(linkedFile(e.path(f.config)))
	t, err := e.files.openFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = errors.Join(t.Close(), e.files.remove(temp))
	}
	if err == nil {
		return nil
	}
	return &cliError{Code: "MESH-2503", What: "cannot write the config " + f.config + "; nothing was redeemed", Cause: reason(err),
		Next: []string{"ls -ld " + shellQuote(filepath.Dir(f.config)), "or write another file: mesh join TOKEN -c DIR/config.yaml"}, Err: err}
}

// write puts the changes into the config. Somebody may have changed it since it was read: the changes go into what is
// there now. Where what the inviter named does not fit, least is written.
func (f *nodeFiles) write(e *env, ed, least config.Edit) (config.Changed, error) {
	if f.exists {
		if b, err := os.ReadFile(e.path(f.config)); err == nil {
			f.old = b
		}
	}
	text, done, err := f.edited(ed)
	if err != nil {
		text, done, err = f.edited(least)
	}
	if err == nil && !(f.exists && bytes.Equal(text, f.old)) {
		err = e.replaceFile(f.config, text, 0o644)
	}
	if err != nil {
		return done, &cliError{Code: "MESH-1503", What: "admitted, but the config " + f.config + " could not be written", Cause: reason(err),
			Next: []string{"make room or take care of the permissions", "the same command again: the token is still good for this key"}, Err: err}
	}
	return done, nil
}
