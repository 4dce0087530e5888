package folder

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// queue holds the writes that are to be done: at most one per object, of which a newer one takes the place, so
// it is bounded by the number of objects. Objects wait for nothing but their own write. Safe for concurrent use.
type queue struct {
	mu      sync.Mutex
	jobs    map[mesh.ObjectKey]*job
	ready   []*job
	later   delayed
	stopped bool          // nothing is handed out
	changed chan struct{} // closed and replaced when there may be work
}

// job is the write of one object.
type job struct {
	write   replica.Write
	next    *replica.Write // came in while write was being carried out
	running bool
	fails   int
	lastErr string
	due     time.Time
	at      int // place in the heap; -1: not in it
}

func newQueue() *queue {
	return &queue{jobs: map[mesh.ObjectKey]*job{}, changed: make(chan struct{}), stopped: true}
}

func (q *queue) signal() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// add takes writes in.
func (q *queue) add(writes []replica.Write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range writes {
		j := q.jobs[w.Object]
		switch {
		case j == nil:
			j = &job{write: w, at: -1}
			q.jobs[w.Object] = j
			q.ready = append(q.ready, j)
		case j.running:
			j.next = &w
		default:
			j.write, j.fails, j.lastErr = w, 0, ""
			if j.at >= 0 {
				heap.Remove(&q.later, j.at)
				q.ready = append(q.ready, j)
			}
		}
	}
	q.signal()
}

// gate stops or resumes handing out.
func (q *queue) gate(open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = !open
	q.signal()
}

// take waits for a job that may be carried out now. nil: ctx ended.
func (q *queue) take(ctx context.Context) *job {
	for {
		j, wait, changed := q.poll(time.Now())
		if j != nil {
			return j
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (q *queue) poll(now time.Time) (*job, time.Duration, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait := time.Hour
	if q.stopped {
		return nil, wait, q.changed
	}
	for len(q.later) > 0 && !q.later[0].due.After(now) {
		q.ready = append(q.ready, heap.Pop(&q.later).(*job))
	}
	if len(q.ready) > 0 {
		j := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		j.running = true
		return j, 0, nil
	}
	if len(q.later) > 0 {
		wait = q.later[0].due.Sub(now)
	}
	return nil, wait, q.changed
}

// done takes a job back. again: it is to be tried later, unless a newer write replaces it. It returns whether
// errText is new for this job.
func (q *queue) done(j *job, errText string, again bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.running = false
	news := errText != j.lastErr || errText == ""
	j.lastErr = errText
	switch {
	case j.next != nil:
		j.write, j.next, j.fails, j.lastErr = *j.next, nil, 0, ""
		q.ready = append(q.ready, j)
	case again:
		j.due = time.Now().Add(min(firstRetry<<min(j.fails, 16), lastRetry))
		j.fails++
		heap.Push(&q.later, j)
	default:
		delete(q.jobs, j.write.Object)
		return news
	}
	q.signal()
	return news
}

// back puts a job that wasn't tried at the end of the line.
func (q *queue) back(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.running = false
	if j.next != nil {
		j.write, j.next, j.fails, j.lastErr = *j.next, nil, 0, ""
	}
	q.ready = append(q.ready, j)
	q.signal()
}

// hurry makes all delayed jobs due.
func (q *queue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.later {
		j.at = -1
		q.ready = append(q.ready, j)
	}
	q.later = nil
	q.signal()
}

// delayed is a heap by due time.
type delayed []*job

func (d delayed) Len() int           { return len(d) }
func (d delayed) Less(i, k int) bool { return d[i].due.Before(d[k].due) }
func (d delayed) Swap(i, k int) {
	d[i], d[k] = d[k], d[i]
	d[i].at, d[k].at = i, k
}
func (d *delayed) Push(x any) {
	j := x.(*job)
	j.at = len(*d)
	*d = append(*d, j)
}
func (d *delayed) Pop() any {
	old := *d
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	j.at = -1
	return j
}
