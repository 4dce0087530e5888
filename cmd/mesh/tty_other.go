//go:build !linux && !darwin

package main

// singleKeys leaves the terminal as it is: keys arrive with Enter.
func singleKeys(any) (restore func()) { return func() {} }
