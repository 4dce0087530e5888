package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	doctorPath = "/api/v1/doctor"
	// maxDoctors is how many runs may be under way at once: each dials every peer.
	maxDoctors = 2
	// doctorWithin bounds a run. Every check has a deadline of its own; together they stay far below.
	doctorWithin = 3 * time.Minute
	// doctorBeat is how often a run that has nothing to tell shows that it goes on.
	doctorBeat = 5 * time.Second
	// maxChosen bounds the groups and ids of a question.
	maxChosen = 64
)

// DoctorQuery chooses among the checks.
type DoctorQuery struct {
	Groups []string // only these; empty: all
	Skip   []string // ids that are left out
}

func (q DoctorQuery) values() url.Values { return url.Values{"group": q.Groups, "skip": q.Skip} }

// doctor streams what the node finds out about itself, a message for each result and an empty one at the end.
func (a *api) doctor(w http.ResponseWriter, r *http.Request) {
	node := a.inspector()
	if node == nil {
		writeError(w, errStarting())
		return
	}
	q := DoctorQuery{Groups: r.URL.Query()["group"], Skip: r.URL.Query()["skip"]}
	if len(q.Groups) > maxChosen || len(q.Skip) > maxChosen {
		writeError(w, badRequest("%d groups and %d ids, at most %d of each", len(q.Groups), len(q.Skip), maxChosen))
		return
	}
	select {
	case a.doctors <- struct{}{}:
		defer func() { <-a.doctors }()
	default:
		w.Header().Set("Retry-After", "5")
		writeError(w, &Error{Code: CodeStarting, Message: "the node is busy", Cause: fmt.Sprintf("%d runs of its checks are under way", maxDoctors)})
		return
	}
	s, err := newStream(w)
	if err != nil {
		a.log.Debug("stream not begun", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), doctorWithin)
	defer cancel()
	results := make(chan mesh.CheckResult)
	ran := make(chan error, 1)
	go func() {
		ran <- (*node).Doctor(ctx, q, func(x mesh.CheckResult) {
			select {
			case results <- x:
			case <-ctx.Done():
			}
		})
	}()
	if err := a.tellDoctor(ctx, s, results, ran); err != nil {
		a.log.Debug("a run of the checks ended early", "err", err)
		cancel()
		<-ran // it ends with ctx
	}
}

// tellDoctor writes results until the run is over; after an error the run goes on.
func (a *api) tellDoctor(ctx context.Context, s *stream, results <-chan mesh.CheckResult, ran chan error) error {
	beat := time.NewTicker(doctorBeat)
	defer beat.Stop()
	for id := uint64(1); ; {
		var message []byte
		select {
		case x := <-results:
			var err error
			if message, err = encodeMessage(id, x); err != nil {
				return err
			}
			id++
		case <-beat.C:
			message = []byte(": on it\n\n")
		case err := <-ran:
			ran <- err // for whoever waits for the end
			if err != nil {
				return err
			}
			return s.write([]byte("data:\n\n"))
		case <-ctx.Done():
			return ctx.Err()
		case <-a.ending:
			return errors.New("the node stops")
		}
		if err := s.write(message); err != nil {
			return err
		}
	}
}

// errAllTold ends the reading of a run that was told to its end.
var errAllTold = errors.New("the run is over")

// Doctor has the node look for what is wrong with it and hands every result to sink, in order, as soon as it is there. It
// returns nil when all was told. The client's own deadline doesn't count, but a node that says nothing for 15 seconds is
// given up. Results that were not asked for, as an archive may hold them, are left out.
func (c *Client) Doctor(ctx context.Context, q DoctorQuery, sink func(mesh.CheckResult)) error {
	path := doctorPath
	if v := q.values(); len(q.Groups)+len(q.Skip) > 0 {
		path += "?" + v.Encode()
	}
	err := c.stream(ctx, path, func(data []byte) error {
		if len(data) == 0 {
			return errAllTold
		}
		var x mesh.CheckResult
		if err := json.Unmarshal(data, &x); err != nil {
			return fmt.Errorf("its answer holds something that is no result of a check: %w", err)
		}
		if !slices.Contains([]mesh.CheckStatus{mesh.CheckOK, mesh.CheckSkip, mesh.CheckWarn, mesh.CheckFail}, x.Status) {
			return fmt.Errorf("its answer holds a result %q of check %q", clipText(string(x.Status)), clipText(x.ID))
		}
		if (len(q.Groups) == 0 || slices.Contains(q.Groups, x.Group)) && !(slices.Contains(q.Skip, x.ID) && x.Status != mesh.CheckSkip) {
			sink(x)
		}
		return nil
	})
	if errors.Is(err, errAllTold) {
		return nil
	}
	return err
}

// clipText shortens what a node sent where an error quotes it.
func clipText(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
