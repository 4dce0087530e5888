package folder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Reader gives the content of live claims: the part of oplog.Reader that is needed here. Safe for concurrent use.
type Reader interface {
	// Payload returns the content of a live claim; nil and no error if there is none.
	Payload(ref mesh.ClaimRef) ([]byte, error)
}

// Config says which folder is watched and how.
type Config struct {
	Dir    string       // the folder; it may be missing and come later
	Zone   mesh.Zone    // our own
	Reader Reader       // what is to be written; an oplog.Reader
	Logger *slog.Logger // nil: discard
	// Tell is handed what people should know of the folder: notices without zone and id. It must not block. Nil: nobody
	// is told.
	Tell func(mesh.Notice)

	// Rescan is how often everything is compared with what is known, in case a change was not reported;
	// default 30 s.
	Rescan time.Duration
	// Grace is how long an object must be missing before its absence is proven and reported; default 250 ms.
	// Editors and version control remove a file for a moment before they write it anew.
	Grace time.Duration
	// Settle is how long a file that nobody reported as closed must stay unchanged; default 100 ms.
	Settle time.Duration
	// Writers is how many writes are under way at once; default 4, so that their syncs share disk flushes.
	Writers int
}

func (c *Config) validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("folder: no path given"))
	}
	if _, err := mesh.ParseZone(string(c.Zone)); err != nil {
		errs = append(errs, fmt.Errorf("folder: %w", err))
	}
	if c.Reader == nil {
		errs = append(errs, errors.New("folder: no reader given"))
	}
	if c.Rescan < 0 || c.Grace < 0 || c.Settle < 0 || c.Writers < 0 {
		errs = append(errs, errors.New("folder: a negative duration or number of writers"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Tell == nil {
		c.Tell = func(mesh.Notice) {}
	}
	if c.Rescan == 0 {
		c.Rescan = 30 * time.Second
	}
	if c.Grace == 0 {
		c.Grace = 250 * time.Millisecond
	}
	if c.Settle == 0 {
		c.Settle = 100 * time.Millisecond
	}
	if c.Writers == 0 {
		c.Writers = 4
	}
	return errors.Join(errs...)
}

// Folder is a folder of manifests that plays the cluster. All methods but Run return at once; they are safe for
// concurrent use.
type Folder struct {
	cfg        Config
	log        *slog.Logger
	newWatcher func(dir string) (watcher, error)

	queue   *queue
	wake    chan struct{}      // capacity 1: there are requests. Never closed
	results chan replica.Input // from the writers to the loop. Never closed; when full the writers wait

	// editing is held while a file of the user's is rewritten.
	editing sync.Mutex

	mu           sync.Mutex
	disk         *disk // nil while the folder isn't there
	suspect      bool  // somebody saw that the folder isn't what it was
	local        *localIndex
	replicas     *replicaIndex
	problems     problems
	lastWrite    time.Time
	hadWitness   bool // the witness was there in this run: without it nothing is written any more
	checkWitness bool
	writeWitness *event.Witness
	probes       map[mesh.ObjectKey]struct{}
}

// New checks the configuration. It reads nothing and starts nothing.
func New(cfg Config) (*Folder, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", cfg.Dir, err)
	}
	cfg.Dir = abs
	return &Folder{
		cfg:      cfg,
		log:      cfg.Logger,
		queue:    newQueue(),
		wake:     make(chan struct{}, 1),
		results:  make(chan replica.Input, 256),
		local:    newLocalIndex(),
		replicas: newReplicaIndex(),
		problems: problems{log: cfg.Logger, tell: cfg.Tell, of: map[string][]mesh.Problem{}},
		probes:   map[mesh.ObjectKey]struct{}{},

		newWatcher: newWatcher,
	}, nil
}

// Run watches the folder and carries out writes until ctx ends, which returns nil, or sink fails, which returns
// its error. sink is called by one goroutine at a time with inputs in the order in which things were seen; the
// inputs are its own. Run is called once.
func (f *Folder) Run(ctx context.Context, sink func(context.Context, ...replica.Input) error) error {
	inner, cancel := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for range f.cfg.Writers {
		writers.Go(func() { f.write(inner) })
	}
	err := newLoop(f, sink).run(inner)
	cancel()
	writers.Wait()
	f.mu.Lock()
	if f.disk != nil {
		f.disk.close()
		f.disk = nil
	}
	f.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Restore does nothing: paths tell replicas from objects of the user's.
func (f *Folder) Restore([]oplog.Placed) {}

// Apply takes writes; each is answered with Written once it was tried. A write that waits is replaced by a newer
// one of the same object, without an answer. A write that fails and is retried answers again when the outcome
// changes.
func (f *Folder) Apply(writes []replica.Write) { f.queue.add(writes) }

// Probe asks for fresh reports about objects: Local, LocalGone or LocalUnmatched. There is no answer while the
// truth can't be told, because a file or the folder can't be read; it follows when it can.
func (f *Folder) Probe(keys []mesh.ObjectKey) {
	f.mu.Lock()
	for _, k := range keys {
		f.probes[k] = struct{}{}
	}
	f.mu.Unlock()
	f.nudge()
}

// CheckWitness asks for a WitnessRead from a fresh read. There is none while the folder can't be read.
func (f *Folder) CheckWitness() {
	f.mu.Lock()
	f.checkWitness = true
	f.mu.Unlock()
	f.nudge()
}

// WriteWitness writes the witness, answered with WitnessWritten when it is on disk. A newer one replaces an
// older one that was not written yet.
func (f *Folder) WriteWitness(w event.Witness) {
	f.mu.Lock()
	f.writeWitness = &w
	f.mu.Unlock()
	f.nudge()
}

// Status tells whether the folder is there and what is wrong in it, by file and line.
func (f *Folder) Status() mesh.ClusterStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := mesh.ClusterStatus{
		Kind:      "folder",
		Location:  f.cfg.Dir,
		Connected: f.disk != nil,
		Problems:  f.problems.list(),
	}
	if !f.lastWrite.IsZero() {
		at := f.lastWrite
		s.LastWrite = &at
	}
	return s
}

// Excluded counts the objects in local/ that are never published, by reason.
func (f *Folder) Excluded() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[string]int{}
	for file := range maps.Values(f.local.files) {
		for _, d := range file.docs {
			if d.excluded != "" {
				n[d.excluded]++
			}
		}
	}
	return n
}

func (f *Folder) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Folder) current() *disk {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.disk
}

// put records problems of a subject.
func (f *Folder) put(subject string, list ...mesh.Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.problems.put(subject, time.Now(), list...)
}
