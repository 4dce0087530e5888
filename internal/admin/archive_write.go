package admin

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/token"
)

// Bundle gathers what a bundle will hold. It is used by one goroutine.
type Bundle struct {
	Info  BundleInfo
	files map[string][]byte
	bytes int
}

// NewBundle begins an empty bundle.
func NewBundle(info BundleInfo) *Bundle {
	info.Format = BundleFormat
	info.Redactions = append([]string{}, redactions...)
	info.Missing = []BundleGap{}
	return &Bundle{Info: info, files: map[string][]byte{}}
}

// redactions says in words what a bundle leaves out, for whoever is to send it somewhere.
var redactions = []string{
	"content of objects: there is none, in whole or in part",
	"hashes of the content of Secrets",
	"private keys, and where the configuration holds one by mistake",
	"tokens of invitations",
	"the operations of the logs, whose bodies are content",
}

// Lacks notes that an entry could not be had, or not wholly. Reason is one sentence.
func (b *Bundle) Lacks(name, reason string) {
	b.Info.Missing = append(b.Info.Missing, BundleGap{name, reason})
}

// hidden is what must not be in a bundle whoever wrote it down: private keys and the tokens of invitations. Nothing should
// have, so this is the second lock on the door.
var hidden = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?|` + token.Prefix + `[A-Za-z0-9_-]+`)

// Add puts an entry in, unless the bundle is full, which is noted as missing.
func (b *Bundle) Add(name string, data []byte) {
	data = hidden.ReplaceAll(data, []byte("[redacted]"))
	const reserve = 1 << 20 // for headers and bundle.json
	switch {
	case len(data) > MaxBundleEntry:
		b.Lacks(name, fmt.Sprintf("it is larger than %d MiB", MaxBundleEntry>>20))
	case b.bytes+len(data) > MaxBundleBytes-reserve:
		b.Lacks(name, fmt.Sprintf("the bundle would unpack to more than %d MiB", MaxBundleBytes>>20))
	default:
		b.files[name] = data
		b.bytes += len(data)
	}
}

// add puts a document in as JSON.
func (b *Bundle) add(name string, v any) error {
	data, err := marshal(v)
	if err != nil {
		return err
	}
	b.Add(name, append(data, '\n'))
	return nil
}

// AddConfig puts a configuration in.
func (b *Bundle) AddConfig(values []ConfigValue) error {
	return b.add(bundleConfig, newList("ConfigValueList", values))
}

// AddLogs puts a list of logs in.
func (b *Bundle) AddLogs(logs []mesh.LogStatus) error {
	return b.add(bundleLog, newList("LogList", logs))
}

// AddChecks puts results of checks in.
func (b *Bundle) AddChecks(results []mesh.CheckResult) error {
	var out bytes.Buffer
	for i, r := range results {
		m, err := encodeMessage(uint64(i)+1, r)
		if err != nil {
			return err
		}
		out.Write(m)
	}
	out.WriteString("data:\n\n") // all was told
	b.Add(bundleDoctor, out.Bytes())
	return nil
}

// Entry is one file of a bundle.
type Entry struct {
	Name string
	Size int // bytes, unpacked
}

// Write packs the bundle and returns what is in it, in order.
func (b *Bundle) Write(w io.Writer) ([]Entry, error) {
	info, err := json.MarshalIndent(newDocument("Bundle", b.Info), "", "  ")
	if err != nil {
		return nil, err
	}
	b.files[bundleInfo] = append(info, '\n')
	var names []string
	for name := range b.files {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		first := func(n string) int { // so that a reader knows at once what it is
			if n == bundleInfo {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(x), first(y)), cmp.Compare(x, y))
	})
	zipped := gzip.NewWriter(w)
	t := tar.NewWriter(zipped)
	var out []Entry
	for _, name := range names {
		data := b.files[name]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: b.Info.Time.Truncate(1e9), Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(data); err != nil {
			return nil, err
		}
		out = append(out, Entry{name, len(data)})
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	return out, zipped.Close()
}
