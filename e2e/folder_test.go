package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// model is what should exist: the value of every object, by zone and name.
type model map[string]map[string]string

func (m model) set(zone, name, value string) {
	if m[zone] == nil {
		m[zone] = map[string]string{}
	}
	m[zone][name] = value
}

// manifest returns a ConfigMap with one value.
func manifest(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  value: %q\n", name, value)
}

// write saves a manifest in local/ as editors do: aside, then renamed.
func (z *zone) write(file, text string) {
	z.t.Helper()
	must(z.t, z.replace(file, text))
}

func (z *zone) replace(file, text string) error {
	p := filepath.Join(z.folder, "local", file)
	aside := filepath.Join(filepath.Dir(p), "."+filepath.Base(p)+".tmp")
	if err := os.WriteFile(aside, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(aside, p)
}

func (z *zone) remove(file string) {
	z.t.Helper()
	must(z.t, os.Remove(filepath.Join(z.folder, "local", file)))
}

// replica is where an object of another zone is.
func (z *zone) replica(owner, name string) string {
	return filepath.Join(z.folder, "mesh", owner, "default", "configmap", name+".yaml")
}

// names lists the manifests below a folder: the path of each by its object's name.
func names(dir string) (map[string]string, error) {
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		got[strings.TrimSuffix(d.Name(), ".yaml")] = p
		return nil
	})
	return got, err
}

// valueOf reads a manifest.
func valueOf(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var o struct {
		Metadata struct{ Name string }
		Data     struct{ Value string }
	}
	if err := yaml.Unmarshal(b, &o); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if o.Metadata.Name+".yaml" != filepath.Base(file) {
		return "", fmt.Errorf("%s holds %q", file, o.Metadata.Name)
	}
	return o.Data.Value, nil
}

// differs compares the folder of a node with what should be in it; nil if nothing differs. Contents are read
// only once all names are right.
func (z *zone) differs(want model) error {
	dirs := map[string]string{z.name: filepath.Join(z.folder, "local")}
	for owner := range want {
		if owner != z.name {
			dirs[owner] = filepath.Join(z.folder, "mesh", owner)
		}
	}
	entries, err := os.ReadDir(filepath.Join(z.folder, "mesh"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		dirs[e.Name()] = filepath.Join(z.folder, "mesh", e.Name())
	}
	var bad []string
	files := map[string]map[string]string{}
	for owner, dir := range dirs {
		got, err := names(dir)
		if err != nil {
			return err
		}
		files[owner] = got
		for name := range got {
			if _, should := want[owner][name]; !should {
				bad = append(bad, fmt.Sprintf("%s/%s exists", owner, name))
			}
		}
		for name := range want[owner] {
			if got[name] == "" {
				bad = append(bad, fmt.Sprintf("%s/%s is missing", owner, name))
			}
		}
	}
	if len(bad) == 0 {
		for owner, got := range files {
			for name, file := range got {
				value, err := valueOf(file)
				if err != nil {
					return err
				}
				if w := want[owner][name]; w != value {
					bad = append(bad, fmt.Sprintf("%s/%s = %.20q, want %.20q", owner, name, value, w))
				}
			}
		}
	}
	if len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	return fmt.Errorf("in the folder of %s %d objects differ: %s", z.name, len(bad), strings.Join(bad[:min(len(bad), 10)], ", "))
}

// equal waits until the folders hold what they should.
func equal(t testing.TB, want model, all ...*zone) {
	t.Helper()
	for _, z := range all {
		eventually(t, "folders are equal", func() error { return z.differs(want) })
	}
}

// verify recomputes every signature, sequence and back-link that the node holds, running or stopped.
func (z *zone) verify() {
	z.t.Helper()
	if out := z.cli("log", "verify"); strings.Contains(out, "FAIL") || !strings.Contains(out, "ok ") {
		z.t.Errorf("%s: log verify:\n%s", z.name, out)
	}
}

// problem waits until status names a problem with these words.
func (z *zone) problem(words ...string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("status of %s tells of %q", z.name, words), func() error {
		out, err := z.try("status")
		for _, w := range words {
			if err == nil && !strings.Contains(out, w) {
				err = fmt.Errorf("no %q in:\n%s", w, out)
			}
		}
		return err
	})
}
