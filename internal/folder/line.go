package folder

// line is a waiting line of files without repetitions. The zero value is empty.
type line struct {
	order []string
	whole map[string]bool // by path: the file is known to be finished
}

func (l *line) add(p string, whole bool) {
	if l.whole == nil {
		l.whole = map[string]bool{}
	}
	if was, queued := l.whole[p]; queued {
		l.whole[p] = was || whole
		return
	}
	l.whole[p] = whole
	l.order = append(l.order, p)
}

func (l *line) empty() bool { return len(l.order) == 0 }

func (l *line) take() (p string, whole bool) {
	p, l.order = l.order[0], l.order[1:]
	whole = l.whole[p]
	delete(l.whole, p)
	return p, whole
}
