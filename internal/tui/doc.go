// Package tui draws a node live in a terminal: the links of the mesh, its peers, how far behind each zone is,
// its objects, logs and events. It only looks: what could be done about something it shows as a command to run.
//
// A Source feeds it frames (mesh.Frame); nothing is polled. Every view is drawn in ASCII onto a canvas of
// cells and printed through a theme, which replaces lines and marks by drawn ones where the terminal has
// them, cell for cell. So one golden file shows the layout of all themes.
package tui

//go:generate go test -vet=off -count=1 -run ^(TestKeysPage)$ . -update
