// Package forward relays TCP and UDP between ports of the loopback address, in a way that can be cut and
// healed like a network cable: `mesh demo` puts a forwarder in front of every node and takes the network
// apart without being root.
//
//	node a ---> forwarder, one port for TCP and UDP ---> target, the port of node b
//	            Cut: nothing passes, nobody is told
//	            Heal: it goes on where it stopped
//
// A cut is silence, as on a real network: UDP packets vanish, TCP connections stay open and stand still, new
// ones are accepted (the kernel would do it anyway) and reach nobody. Nothing is reset or refused, so whoever
// is cut off has to find out by itself. After Heal held TCP bytes arrive, as retransmission would bring them;
// UDP packets of the time between are lost for good.
//
// It is no proxy for anything else: it listens on 127.0.0.1 only and forwards to loopback addresses only.
package forward
