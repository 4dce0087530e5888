//go:build race

package node

// raced is how many times the memory the race detector takes at the most: it remembers who touched what, and what is
// freed is collected later.
const raced = 3
