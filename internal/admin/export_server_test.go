package admin

// APIAddr is where the API is served beside the socket, when any free port was asked for. Valid after Listen.
func (s *Server) APIAddr() string { return s.tcp.Addr().String() }
