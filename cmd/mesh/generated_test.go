package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

// generatedDirs hold nothing but what is generated, below the root of the repository.
var generatedDirs = []string{"completions", "docs/cli", "docs/schema", "man"}

// TestGenerated writes with -update, and otherwise checks, what follows from the tree of commands and the types that
// they print: completion scripts, man pages, docs/cli and docs/schema. go generate ./cmd/mesh runs it.
func TestGenerated(t *testing.T) {
	t.Parallel()
	root := newRootCmd(newTestEnv(t).env)
	files := map[string]string{}
	for _, s := range shells() {
		script, err := completionScript(root, s.name)
		if err != nil {
			t.Fatal(err)
		}
		files["completions/"+s.meaning] = string(script)
	}
	maps.Copy(files, manPages(root))
	maps.Copy(files, cliPages(root))
	maps.Copy(files, schemas(t))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join("..", "..", filepath.FromSlash(name))
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != files[name] {
			t.Errorf("%s is not what the commands say (%v); run: go generate ./cmd/mesh", name, err)
		}
	}
	for _, dir := range generatedDirs {
		err := filepath.WalkDir(filepath.Join("..", "..", filepath.FromSlash(dir)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, _ := filepath.Rel(filepath.Join("..", ".."), path)
			if _, ok := files[filepath.ToSlash(name)]; ok {
				return nil
			}
			if *update {
				return os.Remove(path)
			}
			t.Errorf("%s is generated from nothing any more; run: go generate ./cmd/mesh", name)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// documented lists c and every command below it that help shows, in the order of help.
func documented(c *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			out = append(out, documented(sub)...)
		}
	}
	return out
}
