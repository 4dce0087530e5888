package replica

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// step gathers what one Step changed. Records are collected as "this one changed" and written out once, as
// they stand at the end: a claim that changed five times in a step costs one write.
type step struct {
	now time.Time
	fx  Effects

	dirtyObjects []*object
	claimOrder   []mesh.ClaimRef
	claimWrites  map[mesh.ClaimRef][]byte // payload, nil: none or unchanged
	logOrder     []mesh.LogKey
	logWrites    map[mesh.LogKey]struct{}
	placedOrder  []mesh.ObjectKey
	placedWrites map[mesh.ObjectKey]struct{}
	freshRows    map[rowRef]int // index into fx.Persist.Rows
	writes       map[mesh.ObjectKey]int
	probes       map[mesh.ObjectKey]struct{}
	requests     map[keys.Public]struct{}
	inviteWrites map[string]struct{}
	metaDirty    bool
	wakeNow      bool // more bounded work is waiting
	failure      error
}

type rowRef struct {
	log mesh.LogKey
	seq uint32
}

// Step takes inputs in order and returns what is to be done, which must be carried out before the next Step.
// An error means that committed state could not be read; the replica must not be used any more.
func (r *Replica) Step(now time.Time, inputs ...Input) (Effects, error) {
	ops := 0
	for _, in := range inputs {
		if run, ok := in.(ArrivedRun); ok {
			ops += len(run)
		}
	}
	r.begin(now, ops)
	for _, in := range inputs {
		r.handle(in)
	}
	r.housekeep()
	r.settleAll()
	r.revs.steps++
	return r.finish()
}

// begin makes room for what so many operations are going to change: to grow towards it would be a third of the work.
func (r *Replica) begin(now time.Time, ops int) {
	meta := r.metaDirty // New may have made the record
	r.step = step{
		now:          now,
		claimOrder:   make([]mesh.ClaimRef, 0, ops),
		claimWrites:  make(map[mesh.ClaimRef][]byte, ops),
		logWrites:    make(map[mesh.LogKey]struct{}),
		placedWrites: make(map[mesh.ObjectKey]struct{}),
		freshRows:    make(map[rowRef]int, ops),
		writes:       make(map[mesh.ObjectKey]int),
		probes:       make(map[mesh.ObjectKey]struct{}),
		requests:     make(map[keys.Public]struct{}),
		inviteWrites: make(map[string]struct{}),
		metaDirty:    meta,
	}
	if ops > 0 {
		r.fx.Persist.Rows, r.fx.Publish = make([]oplog.Row, 0, ops), make([]Published, 0, ops)
	}
	r.reclock()
	if r.start.began.IsZero() {
		r.start.began = now
		r.tellMembers() // who they are by what the store holds
	}
	for _, ref := range r.overdue {
		r.dropClaim(ref)
	}
	r.overdue = nil
}

func (r *Replica) handle(in Input) {
	switch in := in.(type) {
	case ArrivedTrust, ArrivedRun: // once for all that came together
	case Arrived:
		r.followBefore(in)
	default:
		r.followTrust()
	}
	switch in := in.(type) {
	case Local:
		r.local(in)
	case LocalGone:
		r.localGone(in.Object)
	case LocalUnmatched:
		r.localUnmatched(in.Object)
	case ReplicaSeen:
		r.replicaSeen(in)
	case Listed:
		r.start.listed = true
		r.resume()
	case WitnessRead:
		r.witnessRead(in)
	case WitnessWritten:
		r.witnessWritten(in.Witness)
	case Written:
		r.written(in)
	case Arrived:
		r.arrived(in)
	case ArrivedRun:
		for _, one := range in {
			r.followBefore(one) // a statement may be among them
			r.arrived(one)
		}
	case ArrivedTrust:
		r.arrivedTrust(in)
	case Checked:
		r.checked(in)
	case Haves:
		r.haves(in)
	case Compared:
		r.compared(in.From)
	case Adopt:
		r.adopt(in.Object)
	case AcceptDeletes:
		r.acceptDeletes(in)
	case Members:
		r.setMembers(in.Nodes)
	case Rules:
		r.setRules(in)
	case Mute:
		r.mute(in.On)
	case Invited:
		r.invite(in.Invite)
	case Revoked:
		r.revoke(in.ID)
	case Redeemed:
		r.redeem(in.Redeem)
	case Acknowledged:
		r.acknowledged(in)
	case HandedOver:
		r.handOver(in.From, in.To)
	case Expel:
		r.expel(in.Key)
	case Tick:
	}
}

// housekeep does what time and counters make due. Each part is bounded and asks to be woken for the rest.
func (r *Replica) housekeep() {
	r.followTrust()
	r.mergeStaged()
	r.join()
	r.stateTrust()
	r.cut()
	r.raiseWitness()
	r.askForWitness()
	r.endHold()
	r.snapshot()
	r.acknowledge()
	r.prune()
	r.retryDelayed()
}

// settleAll settles every object that changed, and those that change by that, until none is left.
func (r *Replica) settleAll() {
	r.followRules()
	for i := 0; i < len(r.dirtyObjects); i++ {
		o := r.dirtyObjects[i]
		o.dirty = false
		r.settle(o)
		r.reclassify(o)
		r.revs.settled(o)
		r.forgetIfEmpty(o)
	}
}

func (r *Replica) touch(o *object) {
	if !o.dirty {
		o.dirty = true
		r.dirtyObjects = append(r.dirtyObjects, o)
	}
}

// finish turns what changed into one batch, in a fixed order.
func (r *Replica) finish() (Effects, error) {
	b := &r.fx.Persist
	b.Claims = slices.Grow(b.Claims, len(r.claimOrder))
	for _, ref := range r.claimOrder {
		payload, ok := r.claimWrites[ref]
		if !ok {
			continue // written out already: a reference may stand twice
		}
		delete(r.claimWrites, ref)
		var c *mesh.Claim
		if o := r.objects[ref.Object]; o != nil {
			c = o.claim(ref.Zone)
		}
		if c == nil {
			b.DropClaims = append(b.DropClaims, ref)
			continue
		}
		b.Claims = append(b.Claims, oplog.ClaimWrite{Claim: *c, Payload: payload})
	}
	for _, k := range r.placedOrder {
		if o := r.objects[k]; o != nil && o.placed != nil {
			b.Placed = append(b.Placed, *o.placed)
		} else {
			b.DropPlaced = append(b.DropPlaced, k)
		}
	}
	for _, k := range r.logOrder {
		if l := r.logs[k]; l != nil {
			kept := *l
			kept.Cut = nil // it follows from the trust set
			b.Logs = append(b.Logs, kept)
		} else {
			b.DropLogs = append(b.DropLogs, k)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.inviteWrites)) {
		if in, ok := r.invites[id]; ok {
			b.Invites = append(b.Invites, in)
		} else {
			b.DropInvites = append(b.DropInvites, id)
		}
	}
	if r.metaDirty {
		m := r.meta
		b.Meta = &m
		r.metaDirty = false
	}
	r.fx.Apply = slices.DeleteFunc(r.fx.Apply, func(w Write) bool { return w.Kind == 0 })
	return r.fx, r.failure
}

// writeClaim notes that a claim changed.
func (r *Replica) writeClaim(ref mesh.ClaimRef, payload []byte) {
	old, again := r.claimWrites[ref]
	if !again {
		r.claimOrder = append(r.claimOrder, ref)
	}
	if payload == nil && again {
		payload = old // restated within the step: the payload of the first write still has to go out
	}
	r.claimWrites[ref] = payload
}

// dropClaim notes that a claim is over. The caller removed it from the index.
func (r *Replica) dropClaim(ref mesh.ClaimRef) {
	if _, again := r.claimWrites[ref]; !again {
		r.claimOrder = append(r.claimOrder, ref)
	}
	r.claimWrites[ref] = nil
}

func (r *Replica) writeLog(k mesh.LogKey) {
	if _, ok := r.logWrites[k]; !ok {
		r.logWrites[k] = struct{}{}
		r.logOrder = append(r.logOrder, k)
	}
}

func (r *Replica) writeMeta() { r.metaDirty = true }

// place records what the cluster is to hold for an object; nil forgets it.
func (r *Replica) place(o *object, p *oplog.Placed) {
	if o.placed != nil {
		r.counts.placed[o.placed.Zone] -= replicaCount(o.placed)
	}
	o.placed = p
	if p != nil {
		r.counts.placed[p.Zone] += replicaCount(p)
	}
	if _, ok := r.placedWrites[o.key]; !ok {
		r.placedWrites[o.key] = struct{}{}
		r.placedOrder = append(r.placedOrder, o.key)
	}
}

// apply asks for a write. A later write to the same object in one step replaces the earlier one.
func (r *Replica) apply(w Write) {
	if i, ok := r.writes[w.Object]; ok {
		r.fx.Apply[i] = Write{}
	}
	r.writes[w.Object] = len(r.fx.Apply)
	r.fx.Apply = append(r.fx.Apply, w)
}

// probe asks the adapter for a live read of an object.
func (r *Replica) probe(k mesh.ObjectKey) {
	if _, ok := r.probes[k]; !ok {
		r.probes[k] = struct{}{}
		r.fx.Probe = append(r.fx.Probe, k)
	}
}

// request asks for a sync round with a peer.
func (r *Replica) request(k keys.Public) {
	if _, ok := r.requests[k]; !ok && k != r.self {
		r.requests[k] = struct{}{}
		r.fx.Request = append(r.fx.Request, k)
	}
}

func (r *Replica) report(d Decision) { r.fx.Report = append(r.fx.Report, d) }

// fail remembers the first failure to read committed state.
func (r *Replica) fail(err error) {
	if r.failure == nil {
		r.failure = err
	}
}

// payload returns the content of a live claim, this step's writes included. A live claim without content is a
// failed read: to leave it out of what is stated would end it everywhere.
func (r *Replica) payload(ref mesh.ClaimRef) []byte {
	if p := r.claimWrites[ref]; p != nil {
		return p
	}
	p, err := r.reader.Payload(ref)
	if o := r.objects[ref.Object]; err == nil && p == nil && o != nil && o.live(ref.Zone) != nil {
		err = fmt.Errorf("the content of %s of zone %s is not in the store", ref.Object, ref.Zone)
	}
	if err != nil {
		r.fail(err)
	}
	return p
}

// rowID is oplog.RowIDs over committed rows and those of this step.
func (r *Replica) rowID(log mesh.LogKey, seq uint32) (mesh.Hash, bool, error) {
	if i, ok := r.freshRows[rowRef{log, seq}]; ok {
		return r.fx.Persist.Rows[i].ID, true, nil
	}
	return r.reader.RowID(log, seq)
}

// eachRow calls fn for the rows [from, to) of a log in order, this step's included, until fn returns false.
func (r *Replica) eachRow(log mesh.LogKey, from, to uint32, fn func(oplog.Row) bool) {
	const batch = 1 << 20 // bytes read at once
	for from < to {
		rows, err := r.reader.Rows(log, from, to, batch)
		if err != nil {
			r.fail(err)
			return
		}
		if len(rows) == 0 {
			if i, ok := r.freshRows[rowRef{log, from}]; ok {
				rows = append(rows, r.fx.Persist.Rows[i])
			} else {
				from++
				continue
			}
		}
		for _, row := range rows {
			if i, ok := r.freshRows[rowRef{log, row.Seq}]; ok {
				row = r.fx.Persist.Rows[i] // what is committed there is left of an abandoned run
			}
			if !fn(row) {
				return
			}
			from = row.Seq + 1
		}
	}
}

func (r *Replica) nowMilli() int64 { return r.now.UnixMilli() }
