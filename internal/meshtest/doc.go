// Package meshtest simulates a mesh on the pure core: zones with stores, clusters and clocks, and a network
// that loses, repeats and reorders. Everything follows from one seed, bit for bit, so a failing run is run
// again by naming its number.
//
// Only tests import it, and it imports core packages only.
package meshtest
