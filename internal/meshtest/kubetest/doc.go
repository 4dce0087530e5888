// Package kubetest gives tests a real Kubernetes API server in seconds: etcd and kube-apiserver as processes of this
// machine, with RBAC, built from source out of the module tools/kubernetes. Nothing else of a cluster runs: no
// controller-manager, scheduler or kubelet, so Deployments never become Pods and a namespace that is deleted stays
// Terminating.
//
//	func TestMain(m *testing.M) { kubetest.Main(m) }
//
//	func TestX(t *testing.T) {
//		s := kubetest.Shared(t)  // one server for the package, started by the first test that asks
//		ns := s.Namespace(t)     // one namespace per test
//		...
//	}
//
// With the option [Pods] a server reaches pods that a test makes out of processes of this machine, [Server.StandIn]: by
// port-forward and by pods/proxy, through the code that kubelets have for it.
//
// A test that kills a server, or goes back to a snapshot of it, takes one of its own with [Start].
//
// The servers listen on loopback only. Their ports are held by the test process from start to end, so that nobody else
// gets them, not even while a server is dead. They die with the test process, however it ends.
//
// It is for Linux, like the tests that use it.
package kubetest
