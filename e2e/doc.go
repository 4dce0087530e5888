// Package e2e tests the program as people run it: real processes of the mesh binary, real folders, real Kubernetes API
// servers, real sockets on loopback, SIGKILL and SIGTERM. It holds tests and benchmarks only.
//
// What a single part can show is tested beside that part. Here stands what only whole nodes can show: that
// nothing is lost and nothing comes back when nodes and servers are killed at random moments, when a store, a folder, a
// cluster or an author is gone, that thousands of objects, or large ones, arrive, and how nodes join, are removed and change
// their keys.
//
//	go test ./e2e                              all of it, about eight minutes
//	go test ./e2e -run TestKube                what needs API servers, about four
//	go test ./e2e -run 'TestJoin|TestRemove'   nodes that join and leave, about two
//	go test ./e2e -run TestTUI                 the screen in a real terminal, about one (needs tmux)
//	go test ./e2e -run TestKill -seed 7        one story again, with the seed that a failure printed
//	go test ./e2e -run TestSoak -v -soak 20m   the same trouble again and again, and a table of what rose
//	go test ./e2e -run '^$' -bench .           the figures that need whole nodes
//
// Tests wait for conditions, never for a time to pass. A test that fails prints what its nodes logged last.
package e2e
