//go:build !linux

package store

import (
	"errors"
	"os"
)

// allocate knows no way to reserve here; the caller writes instead.
func allocate(*os.File, int64) error { return errors.ErrUnsupported }
