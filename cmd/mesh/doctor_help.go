package main

import (
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/doctor"
)

// checksTopic lists every check, by group.
func checksTopic() string {
	var b strings.Builder
	b.WriteString("checks\n\nWhat mesh doctor finds out. Each has a page: mesh help peers.reachable\n")
	group, width := "", 0
	for _, p := range doctor.Pages() {
		width = max(width, len(p.ID))
	}
	for _, p := range doctor.Pages() {
		if p.Group != group {
			group = p.Group
			fmt.Fprintf(&b, "\n%s\n", group)
		}
		fmt.Fprintf(&b, "  %-*s   %s\n", width, p.ID, p.Title)
	}
	b.WriteString("\nMarks: ok is what the line says, warn is worth a look, FAIL is a fault, skip could not be found out. A check that needs " +
		"another is skipped where that one fails.")
	return b.String()
}

// checkPage is the page of one check, and whether there is such a check.
func checkPage(id string) (string, bool) {
	p, ok := doctor.Find(strings.ToLower(id))
	if !ok {
		return "", false
	}
	text := fmt.Sprintf("%s  %s\n\n%s\n", p.ID, p.Title, wrap(p.Text, helpWidth))
	if len(p.Needs) > 0 {
		text += "\nneeds     " + strings.Join(p.Needs, ", ") + "\n"
	}
	return text + "\nlook      mesh doctor --group " + p.Group + "\n", true
}
