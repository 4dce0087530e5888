package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/mesh"
)

// bundler makes a bundle.
type bundler struct {
	e      *env
	node   *nodeFlags
	file   string
	object string // whose way is wanted; empty: none in particular
	format string // text, short or json
	// checks runs those checks that need no node.
	checks func(context.Context) ([]mesh.CheckResult, error)
}

// runDoctorBundle writes a bundle of the node, or of what can be had without one, and prints what is in it. checks runs
// those checks that need no node; object, if not empty, is one whose way is wanted.
func runDoctorBundle(ctx context.Context, e *env, node *nodeFlags, file, object, format string, checks func(context.Context) ([]mesh.CheckResult, error)) error {
	b := &bundler{e, node, file, object, format, checks}
	return nodeError(e, b.run(ctx))
}

func (b *bundler) run(ctx context.Context) error {
	var key mesh.ObjectKey
	if b.object != "" {
		var err error
		if key, err = mesh.ParseObjectKey(b.object); err != nil {
			return &cliError{Code: "MESH-2002", What: err.Error(), Next: []string{"mesh doctor ConfigMap/default/app --bundle FILE"}}
		}
	}
	if _, err := os.Lstat(b.e.path(b.file)); err == nil {
		return b.exists()
	}
	bundle := admin.NewBundle(admin.BundleInfo{Version: buildVersion().Version, Time: b.e.now().UTC()})
	if err := b.collect(ctx, bundle, key); err != nil {
		return err
	}
	var packed bytes.Buffer
	entries, err := bundle.Write(&packed)
	if err != nil {
		return err
	}
	if err := b.write(packed.Bytes()); err != nil {
		return err
	}
	return b.tell(bundle.Info, entries, packed.Len())
}

// collect asks the node, or does without.
func (b *bundler) collect(ctx context.Context, bundle *admin.Bundle, key mesh.ObjectKey) error {
	_, dir, err := b.node.address(b.e)
	if err != nil {
		return err
	}
	client, err := b.node.client(b.e)
	if err != nil {
		return err
	}
	defer client.Close()
	err = bundle.Collect(ctx, client, key)
	var unreachable *admin.UnreachableError
	if dir == "" || !errors.As(err, &unreachable) {
		return err
	}
	b.e.warn("no node answers: %s; the bundle has what can be had without one", rootCause(unreachable))
	return b.collectOffline(ctx, bundle, dir, rootCause(unreachable).Error())
}

// collectOffline puts in what the files of a node tell that doesn't run.
func (b *bundler) collectOffline(ctx context.Context, bundle *admin.Bundle, dir, why string) error {
	bundle.Lacks("api/v1", "no node answers: "+why)
	cfg, err := loadConfig(b.e, config.Options{Path: b.node.config})
	if err == nil {
		err = bundle.AddConfig(configValues(cfg))
	}
	if err != nil {
		bundle.Lacks("api/v1/config.json", errorText(err))
	}
	logs, err := storedLogList(ctx, b.e, dir)
	if err == nil {
		err = bundle.AddLogs(logs)
	}
	if err != nil {
		bundle.Lacks("api/v1/log.json", errorText(err))
	}
	results, err := b.checks(ctx)
	if err == nil {
		err = bundle.AddChecks(results)
	}
	if err != nil {
		bundle.Lacks("api/v1/doctor.sse", errorText(err))
	}
	return ctx.Err()
}

// storedLogList lists the logs in the store of a stopped node.
func storedLogList(ctx context.Context, e *env, dir string) ([]mesh.LogStatus, error) {
	src, err := openStoredLogs(e, dir)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return src.Logs(ctx)
}

// errorText is an error in one line, with its details.
func errorText(err error) string {
	var told *cliError
	if errors.As(err, &told) {
		return strings.Join(append([]string{told.Error()}, told.Details...), "; ")
	}
	return err.Error()
}

// write makes the file: whole or not at all, never in the place of another, for this user's eyes alone.
func (b *bundler) write(packed []byte) error {
	path := b.e.path(b.file)
	temp := besideFile(path)
	failed := func(err error) error {
		return &cliError{Code: "MESH-1801", What: "cannot write the bundle " + b.file, Cause: reason(err), Next: []string{"mesh doctor --bundle OTHERFILE"}, Err: err}
	}
	f, err := b.e.files.openFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(err)
	}
	_, err = f.Write(packed)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = b.place(temp, path)
	}
	if err != nil {
		err = errors.Join(err, b.e.files.remove(temp))
		if errors.Is(err, fs.ErrExist) {
			return b.exists()
		}
		return failed(err)
	}
	if err := b.e.files.syncDir(filepath.Dir(path)); err != nil {
		return failed(err)
	}
	return nil
}

// place gives the file its name unless something has it by now. Where a file cannot have two names, the name is
// taken first, which a crash may leave behind as an empty file.
func (b *bundler) place(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil {
		return b.e.files.remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	claim, err := b.e.files.openFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := claim.Close(); err != nil {
		return err
	}
	return b.e.files.rename(temp, path)
}

func (b *bundler) exists() error {
	return &cliError{Code: "MESH-6802", What: b.file + " exists and was left alone", Cause: "a bundle never takes the place of another file",
		Next: []string{"mesh doctor --bundle OTHERFILE"}}
}

// bundleReport is what is told about a bundle that was written.
type bundleReport struct {
	admin.BundleInfo
	File    string        `json:"file"`
	Bytes   int           `json:"bytes"`
	Entries []bundleEntry `json:"entries"`
}

type bundleEntry struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// tell prints what is in the bundle, and what is not.
func (b *bundler) tell(info admin.BundleInfo, entries []admin.Entry, size int) error {
	e := b.e
	if b.format == formatJSON {
		list := make([]bundleEntry, len(entries))
		for i, x := range entries {
			list[i] = bundleEntry{x.Name, x.Size}
		}
		return e.printValue(formatJSON, "BundleReport", bundleReport{info, b.file, size, list})
	}
	t := table{columns: []column{{name: "NAME"}, {name: "SIZE"}}}
	for _, x := range entries {
		t.rows = append(t.rows, []string{x.Name, binary(uint64(x.Size))})
	}
	if err := e.printTable(t, ""); err != nil {
		return err
	}
	for _, g := range info.Missing {
		e.warn("%s: %s", g.Name, g.Reason)
	}
	e.note("wrote %s (0600), %s. It holds names of objects, zones and addresses, no content and no keys", b.file, binary(uint64(size)))
	e.note("read it with: mesh status --archive %s", shellQuote(b.file))
	return nil
}
