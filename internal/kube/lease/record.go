package lease

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	coordination "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// record is what a candidate knows of the Lease.
type record struct {
	lease *coordination.Lease // as last read or written; nil: unknown
	terms terms               // in it
	seen  time.Time           // when these terms were first seen here
	heard time.Time           // when the API server last told the terms, changed or not
}

// terms are what changes with every renewal. A record whose terms stay the same runs out.
type terms struct {
	holder            string
	renewed, acquired time.Time
	transitions       int32
	duration          time.Duration
}

// Bounds of the duration that a record names. One from elsewhere must not make a standby wait for ever.
const (
	minRecord = time.Second
	maxRecord = time.Minute
)

func termsOf(l *coordination.Lease) terms {
	var t terms
	if s := l.Spec.HolderIdentity; s != nil {
		t.holder = *s
	}
	if at := l.Spec.RenewTime; at != nil {
		t.renewed = at.Time
	}
	if at := l.Spec.AcquireTime; at != nil {
		t.acquired = at.Time
	}
	if n := l.Spec.LeaseTransitions; n != nil {
		t.transitions = *n
	}
	t.duration = Duration
	if s := l.Spec.LeaseDurationSeconds; s != nil {
		t.duration = min(max(time.Duration(*s)*time.Second, minRecord), maxRecord)
	}
	return t
}

// same compares terms. Times are compared as instants.
func (t terms) same(o terms) bool {
	return t.holder == o.holder && t.renewed.Equal(o.renewed) && t.acquired.Equal(o.acquired) &&
		t.transitions == o.transitions && t.duration == o.duration
}

// maxGap is the longest time between two answers in which the API server was there all along: that of a look that
// was lost and the next one.
const maxGap = 2*lookEvery + requestWithin

// verdict is what a candidate does about a record.
type verdict int

const (
	look verdict = iota // somebody else's: look again later
	take                // nobody's, or run out: make it ours
	keep                // ours: renew it
	lost                // ours before, and now somebody else's
)

// judge decides about terms that were first seen some time ago. held: this candidate has held the lease.
func judge(t terms, self string, ago time.Duration, held bool) verdict {
	switch {
	case t.holder == self:
		return keep
	case held:
		return lost // a record without holder was taken from us and given back
	case t.holder == "" || ago >= t.duration:
		return take
	}
	return look
}

// try makes one attempt to get or to keep the lease. It returns how long to wait for the next one. An error is
// a *LostError, or says why the attempt failed.
func (l *Lease) try(ctx context.Context, held bool) (time.Duration, error) {
	// The holder renews what it wrote last, if nobody else wrote meanwhile.
	if r := &l.record; r.lease != nil && r.terms.holder == l.cfg.Identity {
		err := l.write(ctx, r.lease.DeepCopy())
		if err == nil || !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return l.pause(err), l.explain("renew", err)
		}
	}
	asked, cancel := l.within(ctx)
	lease, err := l.client.get(asked, l.cfg.Name)
	cancel()
	if apierrors.IsNotFound(err) {
		err = l.write(ctx, &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: l.cfg.Name, Namespace: l.cfg.Conn.Namespace}})
		return l.pause(err), l.explain("create", err)
	}
	if err != nil {
		return lookEvery, l.explain("read", err)
	}
	r := &l.record
	now := time.Now()
	// While the API server was away its holder could not renew either: that time doesn't count.
	if t := termsOf(lease); r.lease == nil || !t.same(r.terms) || now.Sub(r.heard) > maxGap {
		r.terms, r.seen = t, now
	}
	r.lease, r.heard = lease, now
	switch judge(r.terms, l.cfg.Identity, now.Sub(r.seen), held) {
	case lost:
		return 0, &LostError{Lease: l.cfg.Conn.Namespace + "/" + l.cfg.Name, Holder: printable(r.terms.holder)}
	case look:
		l.set(Standby, r.terms.holder, nil)
		return min(lookEvery, r.terms.duration-now.Sub(r.seen)), nil
	}
	err = l.write(ctx, lease.DeepCopy())
	return l.pause(err), l.explain("take", err)
}

// within bounds a request. One of the holder ends at the latest when the lease is no longer confirmed, which is then
// to be told at once.
func (l *Lease) within(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := time.Now().Add(requestWithin)
	l.mu.Lock()
	if l.status.State == Held && l.until.Before(limit) {
		limit = l.until
	}
	l.mu.Unlock()
	return context.WithDeadline(ctx, limit)
}

// pause is the time until the next attempt.
func (l *Lease) pause(err error) time.Duration {
	if err != nil {
		return lookEvery
	}
	return renewEvery
}

// explain leaves out what is no failure: that somebody else was faster.
func (l *Lease) explain(doing string, err error) error {
	if err == nil || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return fmt.Errorf("%s lease %s/%s: %w", doing, l.cfg.Conn.Namespace, l.cfg.Name, err)
}

// write makes a record ours, or keeps it so; one without resource version is created. It succeeds only if nobody
// wrote since the record was read. The lease is confirmed from the moment in which the request was sent: from
// then on another candidate may have seen the record.
func (l *Lease) write(ctx context.Context, lease *coordination.Lease) error {
	old := termsOf(lease)
	now := metav1.NowMicro()
	seconds := int32(Duration / time.Second)
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &l.cfg.Identity, &seconds, &now
	if old.holder != l.cfg.Identity {
		lease.Spec.AcquireTime = &now
		transitions := old.transitions
		if lease.ResourceVersion != "" && transitions < math.MaxInt32 {
			transitions++
		}
		lease.Spec.LeaseTransitions = &transitions
	}
	ctx, cancel := l.within(ctx)
	defer cancel()
	sent := time.Now()
	got, err := l.client.put(ctx, lease)
	if err != nil {
		return err
	}
	t := termsOf(got)
	if t.holder != l.cfg.Identity {
		return errors.New("the API server answered with another holder than was written")
	}
	l.record = record{lease: got, terms: t, seen: sent, heard: time.Now()}
	l.mu.Lock()
	l.until = sent.Add(RenewDeadline)
	l.mu.Unlock()
	l.set(Held, l.cfg.Identity, nil)
	return nil
}

// release gives the lease back, so that a standby needn't wait for it to run out. An attempt to renew that was
// cut off may have changed the record: then it is read once more.
func (l *Lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	defer l.set(Released, "", nil)
	lease := l.record.lease
	if lease == nil || l.record.terms.holder != l.cfg.Identity {
		return
	}
	err := l.giveBack(ctx, lease)
	if apierrors.IsConflict(err) {
		if lease, err = l.client.get(ctx, l.cfg.Name); err == nil && termsOf(lease).holder == l.cfg.Identity {
			err = l.giveBack(ctx, lease)
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		l.log.Warn("the lease could not be given back: a standby takes over when it has run out", "err", err)
	}
}

// giveBack writes a record without holder, as client-go does.
func (l *Lease) giveBack(ctx context.Context, lease *coordination.Lease) error {
	lease = lease.DeepCopy()
	nobody, seconds, now := "", int32(1), metav1.NowMicro()
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = &nobody, &seconds
	lease.Spec.RenewTime, lease.Spec.AcquireTime = &now, &now
	_, err := l.client.put(ctx, lease)
	return err
}
