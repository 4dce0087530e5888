package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

// This file asks the source for what frames don't tell: objects, operations, checks. Each question runs beside the
// screen and ends with it.

// openObject asks for an object and shows it.
func (m *model) openObject(object string) tea.Cmd {
	m.pages = append(m.pages, page{kind: onContent, key: object, list: &list{}, object: contentOptions{object: object, loading: true}})
	return m.guard(func() tea.Msg {
		content, err := m.cfg.Source.Content(m.ctx, object)
		return contentCame{object, content, err}
	})
}

// check shows the page of the checks and runs them, unless they run.
func (m *model) check(focus place) tea.Cmd {
	if focus != onDoctor {
		m.pages = append(m.pages, page{kind: onDoctor, list: &list{}})
	}
	if m.doctor.running {
		return nil
	}
	ctx, cancel := context.WithCancel(m.ctx)
	number := m.doctor.number + 1
	m.doctor = doctorRun{number: number, running: true, started: m.cfg.Now(), cancel: cancel}
	results := make(chan mesh.CheckResult, 16) // closed by the run; while it is full the run waits
	var next tea.Cmd
	var failure error // written before results is closed
	next = func() tea.Msg {
		select {
		case <-ctx.Done():
			return checksEnded{number, ctx.Err()}
		case r, open := <-results:
			if open {
				return checksCame{number, r, next}
			}
			return checksEnded{number, failure}
		}
	}
	run := m.guard(func() tea.Msg {
		defer close(results)
		failure = m.cfg.Source.Doctor(ctx, func(r mesh.CheckResult) {
			select {
			case <-ctx.Done():
			case results <- r:
			}
		})
		return nil
	})
	return tea.Batch(run, m.guard(next))
}

// stop ends a run of the checks that nobody looks at.
func (d *doctorRun) stop() {
	if d.running {
		d.cancel()
	}
}

// askForOperations asks for the newest operations of the selected log while the view of the logs is on the screen,
// unless they are there; one question at a time.
func (m *model) askForOperations() tea.Cmd {
	l, found := m.logs.current()
	if m.view != viewLog || m.operations.loading || !found {
		return nil
	}
	want := made{only: m.logs.id(l), filter: orNone(l.Height), order: orNone(l.Applied)}
	if m.operations.asked == want {
		return nil
	}
	if m.operations.log != want.only {
		m.operations.rows, m.operations.err = nil, nil
	}
	m.operations.asked, m.operations.log, m.operations.loading = want, want.only, true
	zone := l.Zone
	return m.guard(func() tea.Msg {
		operations, err := m.cfg.Source.Operations(m.ctx, zone, operationsShown)
		return operationsCame{want.only, operations, err}
	})
}
