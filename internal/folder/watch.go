package folder

import "errors"

// errUnwatched: the system reports no changes of a folder, for its limit of watches is reached.
var errUnwatched = errors.New("is not watched, its changes are seen late: raise fs.inotify.max_user_watches")

// change is one thing that happened in a watched folder.
type change struct {
	kind changeKind
	path string
}

type changeKind uint8

const (
	// arrived: a file was closed after writing or moved in. It is complete.
	arrived changeKind = iota
	// writing: a file changes and is open. It will arrive. Where the system doesn't tell, this is never sent.
	writing
	// touched: a file changed and may still be changing.
	touched
	// vanished: a file or folder was removed or moved away.
	vanished
	// newDir: a folder was made or moved in.
	newDir
	// lost: changes were lost; everything is to be read anew.
	lost
	// self: the watched root itself was moved, removed or unmounted.
	self
)

// watcher reports changes in the folders added to it. Hidden names are left out.
type watcher interface {
	// add watches one folder, not those below it. Adding it again is fine. Safe for concurrent use.
	add(dir string) error
	// changes is never closed. When nobody reads, events wait in the kernel until those overflow into lost.
	changes() <-chan change
	// close ends the watcher and waits for its goroutine.
	close()
}

// changeBuffer is how many changes wait in the channel; beyond, the kernel's own queue holds them.
const changeBuffer = 1024
