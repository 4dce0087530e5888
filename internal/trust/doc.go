// Package trust judges who belongs to a mesh, from the signed statements of its members.
package trust
