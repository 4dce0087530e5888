package folder

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// attachEvery is how often a folder that isn't there is looked for, and a refused witness retried.
	attachEvery = time.Second
	// firstPassMost bounds how long the first pass waits for files that never come to rest.
	firstPassMost = 5 * time.Second
	// maxBatch and maxBatchBytes bound what one call of the sink carries.
	maxBatch      = 256
	maxBatchBytes = 4 << 20
	// share is how many files are read before events are looked at again.
	share = 32
)

// loop watches and reports. It is owned by the goroutine of Run; what it shares with the writers lies in Folder.
type loop struct {
	f    *Folder
	sink func(context.Context, ...replica.Input) error

	watcher watcher
	changes <-chan change // nil without watcher
	scans   chan []listing
	scanWG  sync.WaitGroup

	hot, cold line                         // files to read: reported changes first
	writing   map[string]struct{}          // files that are open and change: they are read when they arrive
	settling  map[string]settling          // files that may still be changing
	strangers map[string]struct{}          // files below mesh/ that are no replicas and never were
	gone      map[mesh.ObjectKey]time.Time // objects without a file: when to prove it
	wanted    map[mesh.ObjectKey]struct{}  // probes without an answer yet
	out       []replica.Input              // reports for the sink
	outBytes  int
	err       error // of the sink: ends the loop

	witness     replica.WitnessRead // as last reported or written
	now         time.Time           // when this round began
	scanning    bool
	again       bool // another scan is wanted once this one is done
	first       bool // the first pass over this folder is under way
	firstMost   time.Time
	listed      bool
	gated       bool // writers stand still
	nextAttach  time.Time
	nextScan    time.Time
	nextWitness time.Time // not before: the last attempt failed
	nextGate    time.Time
}

// settling is a file that is read when it looks the same at due.
type settling struct {
	info fs.FileInfo
	due  time.Time
}

func newLoop(f *Folder, sink func(context.Context, ...replica.Input) error) *loop {
	return &loop{
		f: f, sink: sink,
		scans:     make(chan []listing, 1), // one scan at a time: it never waits
		writing:   map[string]struct{}{},
		settling:  map[string]settling{},
		strangers: map[string]struct{}{},
		gone:      map[mesh.ObjectKey]time.Time{},
		wanted:    map[mesh.ObjectKey]struct{}{},
		gated:     true,
	}
}

func (l *loop) run(ctx context.Context) error {
	defer l.scanWG.Wait()
	defer func() {
		if l.watcher != nil {
			l.watcher.close()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && l.err == nil {
		l.now = time.Now()
		l.keepAttached()
		l.drain()
		l.requests()
		l.due()
		l.readFiles(ctx)
		l.finishFirstPass()
		l.flush(ctx)
		if l.hot.empty() && (l.cold.empty() || l.held()) {
			timer.Reset(max(time.Until(l.deadline()), 0))
			l.wait(ctx, timer.C)
		}
	}
	return l.err
}

func (l *loop) wait(ctx context.Context, timer <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-timer:
	case <-l.f.wake:
	case c := <-l.changes:
		l.change(c)
	case in := <-l.f.results:
		l.emit(in, 0)
	case ls := <-l.scans:
		l.scanned(ls)
	}
}

// drain takes what is there without waiting.
func (l *loop) drain() {
	for range 4 * changeBuffer {
		select {
		case c := <-l.changes:
			l.change(c)
		case in := <-l.f.results:
			l.emit(in, 0)
		case ls := <-l.scans:
			l.scanned(ls)
		default:
			return
		}
	}
}

// deadline is when the loop has something to do by itself.
func (l *loop) deadline() time.Time {
	if l.f.current() == nil {
		return l.nextAttach
	}
	at := l.nextScan
	if l.first || l.scanning {
		at = l.now.Add(l.f.cfg.Rescan)
	}
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	for _, s := range l.settling {
		earlier(s.due)
	}
	if !l.first {
		for _, t := range l.gone {
			earlier(t)
		}
	}
	if l.gated && !l.first {
		earlier(l.nextGate)
	}
	if l.pendingWitness() {
		earlier(l.nextWitness)
	}
	if l.first && !l.scanning {
		earlier(l.firstMost)
	}
	return at
}

func (l *loop) emit(in replica.Input, size int) {
	l.out = append(l.out, in)
	l.outBytes += size
}

func (l *loop) full() bool { return len(l.out) >= maxBatch || l.outBytes >= maxBatchBytes }

func (l *loop) flush(ctx context.Context) {
	if len(l.out) == 0 || l.err != nil {
		return
	}
	for batch := range slices.Chunk(l.out, maxBatch) {
		if l.err = l.sink(ctx, batch...); l.err != nil {
			break
		}
	}
	l.out, l.outBytes = nil, 0 // the inputs are the sink's now
}

// keepAttached opens the folder when it is there, and lets go of it when it isn't any more.
func (l *loop) keepAttached() {
	d := l.f.current()
	l.f.mu.Lock()
	suspect := l.f.suspect
	l.f.suspect = false
	l.f.mu.Unlock()
	if d != nil && suspect {
		if !d.attached() {
			l.detach(d)
			return
		}
		l.gated, l.nextGate = true, l.now
		l.f.queue.gate(false)
	}
	if d == nil && !l.now.Before(l.nextAttach) {
		l.attach()
	}
	if d := l.f.current(); l.gated && !l.first && d != nil && !l.now.Before(l.nextGate) {
		if !d.attached() { // nothing tells that a folder was removed while it is open
			l.detach(d)
			return
		}
		l.openGate()
	}
}

// openGate lets the writers go on if the folder is to be written to.
func (l *loop) openGate() {
	l.nextGate = l.now.Add(attachEvery)
	if l.f.writable() == nil {
		l.f.put(witnessFile, mesh.Problem{File: witnessFile, Reason: ReasonWitnessUnreadable,
			Text: "is not there any more; nothing is written or taken for deleted without it"})
		return
	}
	l.f.put(witnessFile)
	l.gated = false
	l.f.queue.gate(true)
}

func (l *loop) attach() {
	l.nextAttach = l.now.Add(attachEvery)
	d, err := openDisk(l.f.cfg.Dir)
	if err != nil {
		l.f.put(".", mesh.Problem{Reason: ReasonFolderMissing, Text: withoutPath(err).Error()})
		return
	}
	wit, present, err := d.readWitness()
	if err != nil && !errors.Is(err, errWitness) {
		l.f.put(".", mesh.Problem{File: witnessFile, Reason: ReasonWitnessUnreadable, Text: withoutPath(err).Error()})
		d.close()
		return
	}
	watcher, err := l.f.newWatcher(l.f.cfg.Dir)
	if err == nil {
		l.watcher, l.changes = watcher, watcher.changes()
		err = watcher.add(".")
	}
	if err != nil {
		l.f.put("watch", mesh.Problem{Reason: ReasonUnwatched, Text: "changes are seen late: " + err.Error()})
	} else {
		l.f.put("watch")
	}
	l.f.put(".")
	l.f.mu.Lock()
	l.f.disk = d
	if l.f.writeWitness != nil && l.listed {
		l.f.writeWitness = nil // was meant for the folder as it was before
	}
	l.f.mu.Unlock()
	l.f.log.Info("folder opened", "folder", l.f.cfg.Dir)
	l.sawWitness(wit, present)
	l.first, l.firstMost = true, l.now.Add(firstPassMost)
	l.scan()
}

func (l *loop) detach(d *disk) {
	l.f.queue.gate(false)
	l.gated = true
	if l.watcher != nil {
		l.watcher.close()
		l.watcher, l.changes = nil, nil
	}
	l.f.mu.Lock()
	l.f.disk = nil
	l.f.mu.Unlock()
	d.close()
	l.f.put(".", mesh.Problem{Reason: ReasonFolderMissing, Text: "is not there any more"})
	l.hot, l.cold, l.settling = line{}, line{}, map[string]settling{}
	clear(l.writing)
	l.first = false
	l.nextAttach = l.now
}

// finishFirstPass reports that everything was reported once everything that was found is read.
func (l *loop) finishFirstPass() {
	if !l.first || l.held() || !l.hot.empty() || !l.cold.empty() {
		return
	}
	l.first = false
	if !l.listed {
		l.listed = true
		l.emit(replica.Listed{}, 0)
	}
	l.openGate()
	l.f.queue.hurry()
	l.rearm()
}

// held reports whether the first pass waits for files to come to rest. Until then it reads none, so that it can
// take them in order of their paths: of several files that define one object the first counts, and no other may
// be reported before it.
func (l *loop) held() bool {
	return l.first && (l.scanning || len(l.settling) > 0 && l.now.Before(l.firstMost))
}

// requests takes over what the engine asked for.
func (l *loop) requests() {
	d := l.f.current()
	if d == nil {
		return
	}
	l.f.mu.Lock()
	probes := l.f.probes
	if len(probes) > 0 {
		l.f.probes = map[mesh.ObjectKey]struct{}{}
	}
	l.f.mu.Unlock()
	for key := range probes {
		l.probe(key)
	}
	if !l.pendingWitness() || l.now.Before(l.nextWitness) {
		return
	}
	if err := l.serveWitness(d); err != nil {
		l.f.put(witnessFile, mesh.Problem{File: witnessFile, Reason: ReasonWitnessUnreadable, Text: withoutPath(err).Error()})
		l.nextWitness = l.now.Add(attachEvery)
		l.f.raise()
		return
	}
	l.nextWitness = time.Time{}
}

func (l *loop) pendingWitness() bool {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	return l.f.checkWitness || l.f.writeWitness != nil
}

// serveWitness reads the witness anew, and writes it if that is wanted. It is written only over what was last
// reported: if something else stands there, the engine hears about that first.
func (l *loop) serveWitness(d *disk) error {
	if !d.attached() {
		return fs.ErrNotExist
	}
	wit, present, err := d.readWitness()
	if err != nil && !errors.Is(err, errWitness) {
		return err
	}
	l.f.mu.Lock()
	check, write := l.f.checkWitness, l.f.writeWitness
	l.f.checkWitness = false
	l.f.mu.Unlock()
	changed := l.witness.Present != present || l.witness.Witness != wit
	if check || changed {
		l.sawWitness(wit, present)
	}
	if write == nil {
		return nil
	}
	if !changed {
		if err := d.writeWitness(*write); err != nil {
			return err
		}
		l.wroteWitness(*write, present)
	}
	l.f.mu.Lock()
	if l.f.writeWitness == write {
		l.f.writeWitness = nil
	}
	l.f.mu.Unlock()
	return nil
}

func (l *loop) sawWitness(wit event.Witness, present bool) {
	l.witness = replica.WitnessRead{Present: present, Witness: wit}
	if present {
		l.f.mu.Lock()
		l.f.hadWitness = true
		l.f.mu.Unlock()
		l.f.put(witnessFile)
	}
	l.emit(l.witness, 0)
}

func (l *loop) wroteWitness(wit event.Witness, before bool) {
	l.witness = replica.WitnessRead{Present: true, Witness: wit}
	l.f.mu.Lock()
	l.f.hadWitness = true
	l.f.lastWrite = l.now
	l.f.mu.Unlock()
	l.f.put(witnessFile)
	l.emit(replica.WitnessWritten{Witness: wit}, 0)
	if !before {
		l.rearm()
		l.scan() // what stood still without a witness goes on, and local/ may be new
	}
}

// due starts what the clock asks for.
func (l *loop) due() {
	d := l.f.current()
	if d == nil {
		return
	}
	if !l.first && !l.scanning && !l.now.Before(l.nextScan) { // the first pass is a scan itself
		l.scan()
	}
	for p, s := range l.settling {
		if l.now.Before(s.due) {
			continue
		}
		fi, err := d.stat(p)
		if err == nil && !unchanged(fi, s.info) {
			l.settling[p] = settling{fi, l.now.Add(l.f.cfg.Settle)}
			continue
		}
		delete(l.settling, p)
		if l.first {
			l.cold.add(p, true)
		} else {
			l.hot.add(p, true)
		}
	}
	l.prove(d)
}
