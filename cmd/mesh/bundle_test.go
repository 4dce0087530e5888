package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
)

// retime has a bundle say that it was made at the time that tests take for the present: the frames of a node tell the
// real one.
func retime(t *testing.T, path string) {
	t.Helper()
	files := readBundle(t, path)
	var info admin.Document[admin.BundleInfo]
	if err := json.Unmarshal(files["bundle.json"], &info); err != nil {
		t.Fatal(err)
	}
	info.Value.Time = fakeNow
	b := admin.NewBundle(info.Value)
	b.Info.Missing = info.Value.Missing
	for name, data := range files {
		b.Add(name, data)
	}
	var packed bytes.Buffer
	if _, err := b.Write(&packed); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readBundle unpacks a bundle as anybody would.
func readBundle(t *testing.T, path string) map[string][]byte {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
