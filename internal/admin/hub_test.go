package admin

import "testing"

// The whole state, which a watcher is given first, doesn't count as waiting, and makes no room for more once it was taken.
func TestTheWholeStateIsNotCounted(t *testing.T) {
	h := newHub(func() *Inspector { return nil }, nil, nil)
	w := h.join()
	h.begin()
	for range 2 {
		if n := w.bytes.Load(); n != 0 {
			t.Errorf("%d bytes count as waiting, want none", n)
		}
		select {
		case b := <-w.queue:
			w.took(b)
		default:
		}
	}
}
