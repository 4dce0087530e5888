package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// checkTimeout bounds one check. Probers give up after a second or more; a check that needs longer than
// this to say that all is well is not well.
const checkTimeout = 800 * time.Millisecond

// health answers the probes.
type health struct {
	checks  []Check
	started func() bool
}

type result struct {
	name string
	note bool
	err  error
}

// run carries out the chosen checks side by side and returns their results in the order of the checks.
func (h *health) run(ctx context.Context, choose func(Check) bool) []result {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var out []result
	var chosen []Check
	for _, c := range h.checks {
		if choose(c) {
			chosen = append(chosen, c)
			out = append(out, result{name: c.Name, note: c.Note})
		}
	}
	var wg sync.WaitGroup
	for i, c := range chosen {
		wg.Go(func() { out[i].err = runCheck(ctx, c) })
	}
	wg.Wait()
	return out
}

// runCheck turns the end of ctx into a failure. Run is trusted to return when ctx ends.
func runCheck(ctx context.Context, c Check) error {
	err := c.Run(ctx)
	if err == nil && ctx.Err() != nil {
		return fmt.Errorf("no answer in %v", checkTimeout)
	}
	return err
}

func isLive(c Check) bool { return c.Live }
func always(Check) bool   { return true }

// probe serves /livez or /readyz: all of the chosen checks, or the one named in the path.
func (h *health) probe(base string, choose func(Check) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if name := r.PathValue("name"); name != "" {
			h.one(w, r, name, choose)
			return
		}
		query := r.URL.Query()
		excluded := map[string]bool{}
		for _, n := range query["exclude"] {
			excluded[n] = true
		}
		results := h.run(r.Context(), func(c Check) bool { return choose(c) && !excluded[c.Name] })
		var text strings.Builder
		failed := false
		for _, res := range results {
			if res.err != nil && res.note {
				fmt.Fprintf(&text, "[!]%s: %v\n", res.name, res.err)
			} else if res.err != nil {
				failed = true
				fmt.Fprintf(&text, "[-]%s failed: %v\n", res.name, res.err)
			} else {
				fmt.Fprintf(&text, "[+]%s ok\n", res.name)
			}
		}
		code := http.StatusOK
		if failed {
			code = http.StatusServiceUnavailable
		}
		w.WriteHeader(code)
		switch _, verbose := query["verbose"]; {
		case failed:
			fmt.Fprintf(w, "%s%s check failed\n", text.String(), base)
		case verbose:
			fmt.Fprintf(w, "%s%s check passed\n", text.String(), base)
		default:
			fmt.Fprint(w, "ok")
		}
	}
}

func (h *health) one(w http.ResponseWriter, r *http.Request, name string, choose func(Check) bool) {
	results := h.run(r.Context(), func(c Check) bool { return choose(c) && c.Name == name })
	switch {
	case len(results) == 0:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "no such check\n")
	case results[0].err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "%s failed: %v\n", name, results[0].err)
	default:
		fmt.Fprint(w, "ok")
	}
}

// legacyHealth is the answer of the original mesh-controller, whose probes and scripts go on working.
type legacyHealth struct {
	Status string  `json:"status"` // Running, Error, Unknown
	Msg    *string `json:"msg"`
}

func (h *health) legacy(w http.ResponseWriter, r *http.Request) {
	answer, code := legacyHealth{Status: "Running"}, http.StatusOK
	var wrong []string
	for _, res := range h.run(r.Context(), isLive) {
		if res.err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", res.name, res.err))
		}
	}
	switch {
	case len(wrong) > 0:
		msg := strings.Join(wrong, "; ")
		answer, code = legacyHealth{Status: "Error", Msg: &msg}, http.StatusInternalServerError
	case !h.started():
		answer.Status = "Unknown"
	}
	b, err := json.Marshal(answer)
	if err != nil {
		panic(fmt.Sprintf("admin: a health answer does not marshal: %v", err)) // two strings
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(b)
}

func (h *health) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", h.legacy)
	mux.HandleFunc("GET /livez", h.probe("livez", isLive))
	mux.HandleFunc("GET /livez/{name}", h.probe("livez", isLive))
	mux.HandleFunc("GET /readyz", h.probe("readyz", always))
	mux.HandleFunc("GET /readyz/{name}", h.probe("readyz", always))
}
