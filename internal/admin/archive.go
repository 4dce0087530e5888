package admin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// A bundle is a gzipped tar file in which a node's answers lie under the paths at which the API gives them, so that the
// commands that read answers from a node read them from a bundle, too. It holds no content of objects.
//
//	bundle.json              BundleInfo
//	api/v1/NAME.json         as GET /api/v1/NAME answered: status, peers, held, log, topology, invites, config
//	api/v1/resources.json    all pages as one list
//	api/v1/traces.json       list of mesh.Trace, of the objects that are not simply live
//	api/v1/doctor.sse        as GET /api/v1/doctor answered
//	frames.sse               whole frames of /api/v1/events with the newest notices
//	metrics.txt logs.txt goroutines.txt

// BundleFormat is the version of the layout. One that is higher is refused.
const BundleFormat = 1

// Limits of a bundle, for whoever gets one from somewhere reads it: a small file may unpack to anything.
const (
	MaxBundleEntry   = 64 << 20  // bytes of one entry
	MaxBundleBytes   = 512 << 20 // of all of them, unpacked
	MaxBundleEntries = 10_000
	maxEntryName     = 200     // bytes
	maxEntryObjects  = 500_000 // JSON objects of one entry: each takes far more memory than bytes
	maxEntryParts    = 8 << 20 // members and elements of one entry, a few times what the largest have: an empty text takes 3 bytes, and 16 in memory
)

// The names of entries.
const (
	bundleInfo       = "bundle.json"
	bundleStatus     = "api/v1/status.json"
	bundlePeers      = "api/v1/peers.json"
	bundleHeld       = "api/v1/held.json"
	bundleLog        = "api/v1/log.json"
	bundleTopology   = "api/v1/topology.json"
	bundleInvites    = "api/v1/invites.json"
	bundleConfig     = "api/v1/config.json"
	bundleResources  = "api/v1/resources.json"
	bundleTraces     = "api/v1/traces.json"
	bundleDoctor     = "api/v1/doctor.sse"
	bundleFrames     = "frames.sse"
	bundleMetrics    = "metrics.txt"
	bundleLogs       = "logs.txt"
	bundleGoroutines = "goroutines.txt"
)

// BundleInfo says what a bundle is.
type BundleInfo struct {
	Format     int         `json:"format"`
	Version    string      `json:"version"` // of the mesh that wrote it
	Time       time.Time   `json:"time"`    // of the answers: ages count from here
	Node       *BundleNode `json:"node"`    // null: no node answered
	Redactions []string    `json:"redactions"`
	Missing    []BundleGap `json:"missing"`
}

// BundleNode says whose answers they are.
type BundleNode struct {
	Zone      mesh.Zone      `json:"zone"`
	NetworkID mesh.NetworkID `json:"networkId"`
	PublicKey string         `json:"publicKey"`
	PeerID    string         `json:"peerId"`
	Version   string         `json:"version"`
}

// BundleGap is something that could not be had.
type BundleGap struct {
	Name   string `json:"name"` // of the entry that is missing, or not whole
	Reason string `json:"reason"`
}

// Archive is a bundle that was read. It is not changed after that, and safe for concurrent use.
type Archive struct {
	Info      BundleInfo
	files     map[string][]byte
	resources []mesh.Resource // in key order
	keys      []mesh.ObjectKey
	traces    []mesh.Trace
}

// checks say which entries are read, and what has to be in them.
func (a *Archive) checks() map[string]func([]byte) error {
	return map[string]func([]byte) error{
		bundleInfo:       func(b []byte) error { return checkDocument(b, "Bundle", &a.Info) },
		bundleStatus:     func(b []byte) error { return checkDocument(b, "Status", new(mesh.Status)) },
		bundlePeers:      checkList[mesh.Peer],
		bundleHeld:       checkList[mesh.HeldDeletes],
		bundleLog:        checkList[mesh.LogStatus],
		bundleTopology:   func(b []byte) error { return checkDocument(b, "Topology", new(mesh.Topology)) },
		bundleInvites:    checkList[mesh.Invite],
		bundleConfig:     checkList[ConfigValue],
		bundleResources:  a.readResources,
		bundleTraces:     a.readTraces,
		bundleDoctor:     checkMessages[mesh.CheckResult],
		bundleFrames:     checkMessages[mesh.Frame],
		bundleMetrics:    nil,
		bundleLogs:       nil,
		bundleGoroutines: nil,
	}
}

// ReadArchive reads a bundle. It refuses what no bundle looks like: entries that are no plain files, odd names, too much
// of anything, answers that cannot be decoded. Entries of a later version that it doesn't know are passed over.
func ReadArchive(r io.Reader) (*Archive, error) {
	return readArchive(r, archiveLimits{MaxBundleEntry, MaxBundleBytes, MaxBundleEntries})
}

// archiveLimits are those of a bundle; tests have lower ones.
type archiveLimits struct {
	entry, all int64 // bytes
	entries    int
}

func readArchive(r io.Reader, limits archiveLimits) (*Archive, error) {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, errors.New("it is no gzip file")
	}
	all := &counted{r: zipped, left: limits.all}
	a := &Archive{files: map[string][]byte{}}
	known := a.checks()
	seen := map[string]bool{}
	t := tar.NewReader(all)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, unpackError(err)
		}
		if err := limits.check(h, seen); err != nil {
			return nil, err
		}
		seen[h.Name] = true
		check, wanted := known[h.Name]
		if !wanted {
			continue
		}
		b, err := io.ReadAll(t) // at most h.Size, which was looked at
		if err != nil {
			return nil, unpackError(err)
		}
		if check != nil {
			if bytes.Count(b, []byte("{")) > maxEntryObjects {
				return nil, fmt.Errorf("%s holds more than %d objects", h.Name, maxEntryObjects)
			}
			if bytes.Count(b, []byte(",")) > maxEntryParts {
				return nil, fmt.Errorf("%s holds more than %d parts", h.Name, maxEntryParts)
			}
			if err := check(b); err != nil {
				return nil, fmt.Errorf("%s: %w", h.Name, err)
			}
		}
		a.files[h.Name] = b
	}
	if _, err := io.Copy(io.Discard, all); err != nil { // up to the checksum
		return nil, unpackError(err)
	}
	return a, a.validate()
}

// validate looks at what the bundle says about itself.
func (a *Archive) validate() error {
	switch i := a.Info; {
	case a.files[bundleInfo] == nil:
		return errors.New("it has no " + bundleInfo + ", so it is no bundle of mesh doctor")
	case i.Format < 1:
		return fmt.Errorf("%s: format %d", bundleInfo, i.Format)
	case i.Format > BundleFormat:
		return fmt.Errorf("it has format %d, and this mesh reads up to %d: a later version wrote it", i.Format, BundleFormat)
	case i.Time.IsZero() || i.Time.Year() > 9999:
		return errors.New(bundleInfo + ": no time")
	}
	return nil
}

// check refuses an entry that no bundle holds.
func (l archiveLimits) check(h *tar.Header, seen map[string]bool) error {
	name := h.Name
	odd := name == "" || len(name) > maxEntryName || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`\:`, r)
	}) || slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." || part == ".." })
	switch {
	case len(seen) >= l.entries:
		return fmt.Errorf("it holds more than %d entries", l.entries)
	case odd:
		return fmt.Errorf("it holds an entry with the name %.80q", name)
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("%s is no plain file", name)
	case seen[name]:
		return fmt.Errorf("it holds %s twice", name)
	case h.Size > l.entry:
		return fmt.Errorf("%s is larger than %d MiB", name, l.entry>>20)
	}
	return nil
}

var errTooMuch = errors.New("it unpacks to more than a bundle may")

// unpackError words what the readers of tar and gzip complain about.
func unpackError(err error) error {
	switch {
	case errors.Is(err, errTooMuch):
		return errTooMuch
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is cut off")
	}
	return errors.New("it is damaged, or no bundle of mesh doctor")
}

// counted refuses to go on after so many bytes.
type counted struct {
	r    io.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}

func checkDocument[T any](b []byte, kind string, into *T) error {
	var d Document[T]
	if err := json.Unmarshal(b, &d); err != nil {
		return errNoAnswer
	}
	if d.Kind != kind {
		return fmt.Errorf("kind %.40q, want %s", d.Kind, kind)
	}
	*into = d.Value
	return nil
}

var errNoAnswer = errors.New("it cannot be read as the answer of a node")

func checkList[T any](b []byte) error {
	_, err := readList[T](b)
	return err
}

func readList[T any](b []byte) ([]T, error) {
	var l List[T]
	if err := json.Unmarshal(b, &l); err != nil || !strings.HasSuffix(l.Kind, "List") {
		return nil, errNoAnswer
	}
	return l.Items, nil
}

// checkMessages reads a stream to its end.
func checkMessages[T any](b []byte) error {
	ms := newMessages(bytes.NewReader(b), nil)
	for {
		data, err := ms.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(data) > 0 && json.Unmarshal(data, new(T)) != nil {
			return errNoAnswer
		}
	}
}

func (a *Archive) readResources(b []byte) (err error) {
	if a.resources, err = readList[mesh.Resource](b); err != nil {
		return err
	}
	for i, r := range a.resources {
		k, err := mesh.ParseObjectKey(r.Object)
		if err != nil {
			return err
		}
		if i > 0 && k.Compare(a.keys[i-1]) <= 0 {
			return errors.New("its objects are not in order")
		}
		a.keys = append(a.keys, k)
	}
	return nil
}

func (a *Archive) readTraces(b []byte) (err error) {
	a.traces, err = readList[mesh.Trace](b)
	return err
}
