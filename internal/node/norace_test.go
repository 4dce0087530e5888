//go:build !race

package node

const raced = 1
