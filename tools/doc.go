//go:build tools

// Package tools is a module of its own for the linters that the Makefile runs, so that what they depend on
// stays out of the product's go.mod. From the top of the repository: go tool -modfile=tools/go.mod staticcheck ./...
package tools
