package admin

import "io"

// ReadArchiveWithin is ReadArchive with other limits.
func ReadArchiveWithin(r io.Reader, entry, all int64, entries int) (*Archive, error) {
	return readArchive(r, archiveLimits{entry, all, entries})
}
