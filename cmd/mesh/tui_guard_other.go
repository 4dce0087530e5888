//go:build !linux && !darwin

package main

import (
	"io"
	"os"
)

// guardTerminal does nothing: the console of this system belongs to no process.
func guardTerminal(any) (end func()) { return func() {} }

const restoreCommand = "restore-terminal"

func restoreTerminal(io.Reader, *os.File) int { return exitOK }
