package node

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
)

// diary is a book with a clock of its own.
type diary struct {
	*book
	t   *testing.T
	day time.Time
}

func newDiary(t *testing.T, kept ...oplog.Contact) *diary {
	d := &diary{t: t, day: time.Unix(1_800_000_000, 0)}
	d.book = newBook(func() time.Time { return d.day }, false, kept)
	return d
}

var who = testKey(1).Public()

// works has an attempt made that ends at an endpoint, an IP address and port.
func (d *diary) works(endpoint string) {
	at := netip.MustParseAddrPort(endpoint)
	d.trying(who, map[netip.AddrPort]string{at: endpoint})
	d.reached(who, at)
}

func (d *diary) record(seq uint64, endpoints ...string) verdict {
	d.t.Helper()
	return d.takeRecord(mustSeal(d.t, testKey(1), seq, endpoints...), true)
}

func (d *diary) plans(want string, configured ...string) {
	d.t.Helper()
	if got := strings.Join(d.plan(who, configured), " "); got != want {
		d.t.Errorf("plan = %s, want %s", got, want)
	}
}

func (d *diary) knows(want string) {
	d.t.Helper()
	if got := strings.Join(d.known(who), " "); got != want {
		d.t.Errorf("known = %s, want %s", got, want)
	}
}

func TestBookRanks(t *testing.T) {
	t.Parallel()
	d := newDiary(t)
	d.plans("")
	d.found(who, []string{"10.0.0.1:1"})
	d.record(1, "192.0.2.1:1", "192.0.2.2:1")
	d.advertised(who, []string{"east.example:1", "not an endpoint", "127.0.0.1:1"})
	d.knows("192.0.2.1:1 192.0.2.2:1 east.example:1 10.0.0.1:1")
	d.day = d.day.Add(time.Minute)
	d.works("192.0.2.2:1")
	d.knows("192.0.2.2:1 192.0.2.1:1 east.example:1 10.0.0.1:1")
	d.day = d.day.Add(time.Minute)
	d.works("192.0.2.9:1") // as if it had been configured
	d.knows("192.0.2.9:1 192.0.2.2:1 192.0.2.1:1 east.example:1 10.0.0.1:1")

	d.linked(who, "east")
	// What is configured comes first and alone, and with all the rest once that failed.
	d.plans("c.example:1 d.example:1", "c.example:1", "d.example:1")
	d.plans("192.0.2.2:1 c.example:1 192.0.2.9:1 192.0.2.1:1 east.example:1 10.0.0.1:1", "c.example:1", "192.0.2.2:1")
	d.works("192.0.2.2:1")
	d.linked(who, "east")
	d.plans("192.0.2.2:1 c.example:1", "c.example:1", "192.0.2.2:1")

	// What worked long ago sinks below what the record says now; what was only ever advertised sinks lowest.
	d.day = d.day.Add(freshFor)
	d.record(2, "192.0.2.3:1")
	d.knows("192.0.2.3:1 192.0.2.2:1 192.0.2.9:1 192.0.2.1:1 east.example:1 10.0.0.1:1")
}

// Every endpoint has its turn, and the best ones always.
func TestBookTurns(t *testing.T) {
	t.Parallel()
	d := newDiary(t)
	var told []string
	for i := range maxOwnEndpoints {
		told = append(told, fmt.Sprintf("192.0.2.%d:1", i))
	}
	d.record(1, told...)
	var configured []string
	for i := range 9 {
		configured = append(configured, fmt.Sprintf("c%d.example:1", i))
	}
	dialled := map[string]int{}
	for range 6 {
		plan := d.plan(who, configured)
		if len(plan) != dialAtOnce || len(slices.Compact(slices.Sorted(slices.Values(plan)))) != dialAtOnce {
			t.Errorf("plan = %v, want %d different ones", plan, dialAtOnce)
		}
		for _, at := range plan {
			dialled[at]++
		}
	}
	for _, at := range append(told, configured...) {
		if dialled[at] == 0 {
			t.Errorf("%s was never dialled", at)
		}
	}
	if dialled[configured[0]] != 6 || dialled[configured[1]] != 6 {
		t.Errorf("the first two were dialled %d and %d times of 6", dialled[configured[0]], dialled[configured[1]])
	}
}

func TestBookForgets(t *testing.T) {
	t.Parallel()
	d := newDiary(t)
	d.works("192.0.2.1:1")
	d.record(1, "192.0.2.2:1")
	d.advertised(who, []string{"old.example:1"})
	d.day = d.day.Add(2 * forgetAfter) // it is away: what is known of it stays
	d.knows("192.0.2.2:1 192.0.2.1:1 old.example:1")
	d.sign(who, "")
	d.works("192.0.2.3:1") // it is back, at another place
	d.knows("192.0.2.3:1 192.0.2.2:1")

	// More than is kept: what worked and what was told of late stays.
	for i := range 40 {
		d.day = d.day.Add(time.Minute)
		d.advertised(who, []string{fmt.Sprintf("10.0.0.%d:1", i)})
	}
	known := d.known(who)
	if len(known) != oplog.MaxEndpoints || known[0] != "192.0.2.3:1" || known[1] != "10.0.0.39:1" {
		t.Errorf("known = %v", known)
	}
}

// Nobody on the local network can push out what is known of a node.
func TestBookDoubtsTheLAN(t *testing.T) {
	t.Parallel()
	d := newDiary(t)
	d.record(1, "192.0.2.1:1")
	d.works("192.0.2.2:1")
	for i := range 100 {
		d.day = d.day.Add(time.Second)
		d.found(who, []string{fmt.Sprintf("10.0.0.%d:1", i), fmt.Sprintf("10.0.1.%d:1", i), "10.0.2.1:1", "10.0.2.2:1", "10.0.2.3:1"})
	}
	known := d.known(who)
	if len(known) != 2+maxLANWays || known[0] != "192.0.2.2:1" || known[1] != "192.0.2.1:1" {
		t.Errorf("known = %v", known)
	}
	if d.found(who, []string{"127.0.0.1:1"}) {
		t.Error("an address of this machine was taken")
	}
	if len(d.changes(true).put) != 1 {
		t.Fatal("nothing is kept")
	}
	d.found(who, []string{"10.1.0.1:1"})
	if ch := d.changes(true); len(ch.put) > 0 {
		t.Errorf("what the local network says is kept: %+v", ch)
	}
}

func TestBookJudgesRecords(t *testing.T) {
	t.Parallel()
	d := newDiary(t)
	for _, test := range []struct {
		seq  uint64
		at   string
		want verdict
	}{
		{5, "192.0.2.1:1", recordNew},
		{5, "192.0.2.1:1", recordHeld},
		{5, "192.0.2.2:1", recordHeld},
		{4, "192.0.2.2:1", recordStale},
		{6, "192.0.2.3:1", recordNew},
	} {
		if got := d.record(test.seq, test.at); got != test.want {
			t.Errorf("record %d with %s = %v, want %v", test.seq, test.at, got, test.want)
		}
	}
	if r := d.recordOf(who); r.seq != 6 {
		t.Errorf("held: %d", r.seq)
	}

	// Those of others wait for their admission, a bounded number of them.
	foreign := testKey(7)
	for seq := range uint64(3) {
		if got := d.takeRecord(mustSeal(t, foreign, 3-seq, "192.0.2.7:1"), false); got != recordForeign {
			t.Errorf("record of a stranger = %v", got)
		}
	}
	if r := d.admitted(map[keys.Public]bool{foreign.Public(): true}); len(r) != 1 || r[0].seq != 3 {
		t.Errorf("after the admission: %+v", r)
	}
	for i := range byte(2 * maxParked) {
		d.takeRecord(mustSeal(t, testKey(i), 1), false)
	}
	if len(d.parked) != maxParked {
		t.Errorf("%d records wait, want %d", len(d.parked), maxParked)
	}
}

func TestBookKeeps(t *testing.T) {
	t.Parallel()
	d := newDiary(t, oplog.Contact{Key: testKey(2).Public(), Endpoints: []string{"invited.example:1"}, Inviter: true})
	d.admitted(map[keys.Public]bool{who: true, testKey(2).Public(): true})
	if ch := d.changes(true); len(ch.put)+len(ch.drop) > 0 {
		t.Errorf("at first: %+v", ch)
	}
	d.sign(who, "east")
	d.record(3, "192.0.2.1:1", "192.0.2.2:1")
	d.works("192.0.2.2:1")
	d.day = d.day.Add(time.Second)
	d.works("192.0.2.3:1")
	ch := d.changes(false)
	want := oplog.Contact{Key: who, Zone: "east", Endpoints: []string{"192.0.2.3:1", "192.0.2.2:1"},
		Record: d.recordOf(who).raw, Seen: d.day.UnixMilli()}
	if !reflect.DeepEqual(ch, bookChange{put: []oplog.Contact{want}}) {
		t.Errorf("changes = %+v, want %+v", ch, want)
	}

	// That it merely lives is kept now and then, and at the end.
	d.day = d.day.Add(keepSeen - time.Second)
	d.sign(who, "east")
	if ch := d.changes(false); len(ch.put) > 0 {
		t.Errorf("too soon: %+v", ch)
	}
	if ch := d.changes(true); len(ch.put) != 1 || ch.put[0].Seen != d.day.UnixMilli() {
		t.Errorf("at the end: %+v", ch)
	}

	// The next run ranks as this one did.
	known := d.known(who)
	next := newDiary(t, d.changesNow()...)
	next.day = d.day
	if got := next.known(who); !slices.Equal(got, known) {
		t.Errorf("after a restart %v is known, before %v", got, known)
	}
	if !slices.Equal(next.known(testKey(2).Public()), []string{"invited.example:1"}) || len(next.inviters()) != 1 {
		t.Error("the inviter is forgotten")
	}
	next.sign(testKey(2).Public(), "west") // what came with the invitation outlives its first use
	next.advertised(testKey(2).Public(), nil)
	next.works("192.0.2.3:1")
	if !slices.Equal(next.known(testKey(2).Public()), []string{"invited.example:1"}) {
		t.Error("the inviter's endpoint is forgotten")
	}
}

// changesNow returns everything as it would be kept.
func (d *diary) changesNow() (out []oplog.Contact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.byKey {
		out = append(out, d.entry(c))
	}
	return out
}

// Contacts of keys that are no members go after a while, those that admit this node here do not.
func TestBookDropsOutsiders(t *testing.T) {
	t.Parallel()
	gone, inviter := testKey(3).Public(), testKey(2).Public()
	d := newDiary(t, oplog.Contact{Key: who}, oplog.Contact{Key: gone}, oplog.Contact{Key: inviter, Inviter: true})
	d.admitted(map[keys.Public]bool{who: true})
	d.day = d.day.Add(outsiderAfter - 1)
	if ch := d.changes(true); len(ch.drop) > 0 {
		t.Errorf("too soon: %+v", ch)
	}
	d.day = d.day.Add(1)
	if ch := d.changes(false); !slices.Equal(ch.drop, []keys.Public{gone}) || len(ch.put) > 0 {
		t.Errorf("changes = %+v, want %v dropped", ch, gone)
	}
	d.admitted(nil)
	d.day = d.day.Add(outsiderAfter)
	if ch := d.changes(false); !slices.Equal(ch.drop, []keys.Public{who}) {
		t.Errorf("changes = %+v, want %v dropped", ch, who)
	}
}

// What is kept is within the bounds of the store, whatever was told.
func TestBookEntriesFit(t *testing.T) {
	t.Parallel()
	d := newDiary(t)
	for i := range 60 {
		d.works(fmt.Sprintf("192.0.2.%d:1", i))
		d.advertised(who, []string{strings.Repeat("a", 253) + ":65535", strings.Repeat("a", 300) + ":1"})
	}
	d.advertised(who, []string{"[fe80::1%" + strings.Repeat("x", 253) + "]:1"})
	for _, c := range d.changes(true).put {
		if len(c.Endpoints) > oplog.MaxEndpoints || len(c.Record) > oplog.MaxRecord ||
			slices.ContainsFunc(c.Endpoints, func(e string) bool { return len(e) > oplog.MaxEndpoint }) {
			t.Errorf("%+v", c)
		}
	}
}
