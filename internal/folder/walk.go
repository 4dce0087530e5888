package folder

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// listing is what one walk found.
type listing struct {
	disk  *disk
	dir   string
	files []found
	odd   []oddity
	// complete: every folder below dir could be read, so what isn't listed isn't there.
	complete bool
	// missing: dir itself isn't there.
	missing bool
	temps   []string // temporary files of ours
}

type found struct {
	path string
	info fs.FileInfo
}

// oddity is something that is not read, and why.
type oddity struct {
	path string
	err  error
}

var errTooMany = errors.New("holds more files than are read")

// walk lists all files below dir, which must be a real folder. watch is called for each folder before it is
// read, so that nothing that happens afterwards is missed.
func walk(d *disk, dir string, watch func(dir string) error) listing {
	l := listing{disk: d, dir: dir, complete: true}
	if err := d.realDir(dir); errors.Is(err, fs.ErrNotExist) {
		l.missing, l.complete = true, false
		return l
	} else if err != nil {
		l.spoil(dir, err)
		return l
	}
	l.descend(dir, watch)
	return l
}

func (l *listing) spoil(p string, err error) {
	l.complete = false
	l.odd = append(l.odd, oddity{p, err})
}

func (l *listing) descend(dir string, watch func(string) error) {
	if strings.Count(dir, "/") > maxDirDepth {
		l.spoil(dir, errors.New("lies too deep"))
		return
	}
	if err := watch(dir); err != nil {
		l.odd = append(l.odd, oddity{dir, errUnwatched})
	}
	entries, err := l.disk.list(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return // removed meanwhile, with everything in it
		}
		l.spoil(dir, withoutPath(err))
		return
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			l.temps = append(l.temps, p)
		case isHidden(e.Name()):
		case e.IsDir():
			l.descend(p, watch)
		case e.Type()&fs.ModeSymlink != 0:
			l.odd = append(l.odd, oddity{p, errSymlink})
		case !isManifest(e.Name()) && !under(meshDir, p):
		case !e.Type().IsRegular():
			l.odd = append(l.odd, oddity{p, errKind})
		case len(l.files) >= maxFiles:
			l.spoil(p, errTooMany)
			return
		default:
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				l.spoil(p, withoutPath(err))
				continue
			}
			l.files = append(l.files, found{p, fi})
		}
	}
}

// withoutPath strips what a PathError repeats: problems name their file themselves.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
