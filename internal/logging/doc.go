// Package logging turns log records into lines: filtered by target, in text or JSON, one record per line
// whatever a value holds.
//
// A record belongs to a target, a dotted name such as mesh.sync or libp2p.swarm2. A filter gives levels to
// targets, and the longest prefix wins:
//
//	INFO                      mesh=INFO, and WARN elsewhere
//	=TRACE                    everything
//	mesh=DEBUG,libp2p=ERROR   as listed; what no entry covers keeps mesh=INFO and WARN elsewhere
//	INFO,mesh.sync=TRACE      a plain level and exceptions from it
//
// Levels are OFF, ERROR, WARN, INFO, DEBUG and TRACE in any case. A plain level above WARN (ERROR, OFF) holds
// elsewhere too: nobody who silences mesh wants to hear its libraries.
//
// A text line is time, level, target, message and key=value pairs in key order. JSON carries the same fields
// as "time", "level", "target" and "message", and the attributes beside them; an attribute of one of these
// four names gets the prefix "attr.".
//
// Values come from peers and files. Line breaks, control characters and terminal escapes in them are
// escaped, long ones are cut, byte slices are shown by their length only, so that the body of an object never
// reaches a log by accident.
//
// Everything here is safe for concurrent use. The filter may be replaced while loggers are in use.
package logging
