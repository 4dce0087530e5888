package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// exampleKind says how an example is tried.
type exampleKind int

const (
	asks    exampleKind = iota // it asks a node, or nobody, and ends
	endless                    // it goes on until Ctrl-C
	starts                     // it starts a node, which is stopped when it answers
	joins                      // it takes a token of a node that runs
	draws                      // it fills a terminal until q is pressed
	parsed                     // it is only looked at: TestExamplesAreAccepted does
)

// unusualExamples are those that are not simply run. The reason stands behind those that are not run at all.
var unusualExamples = map[string]struct {
	kind exampleKind
	why  string
}{
	"mesh peers --state NotReady,Unavailable --watch": {endless, ""},
	"mesh peers -w -o wide":                           {endless, ""},
	"mesh tui":                                        {draws, ""},
	"mesh tui --plain":                                {endless, ""},
	"mesh tui --view peers --node unix:east/.mesh/api.sock":         {draws, ""},
	"mesh tui --replay recorded.sse":                                {draws, ""},
	"mesh run --zone east --invite":                                 {starts, ""},
	"mesh run --zone east --folder manifests --invite":              {starts, ""},
	"mesh run --zone west --folder west --join-file west.token":     {joins, ""},
	"mesh join meshinv1_TOKEN --folder manifests --run":             {joins, ""},
	"mesh join meshinv1_TOKEN --zone west --folder manifests --run": {joins, ""},
	"cat west.token | mesh join - --zone west":                      {joins, ""},
	"mesh join --token-file west.token --dry-run":                   {joins, ""},
	"mesh join --token-file west.token -c /etc/mesh/config.yaml -y": {joins, ""},
	"mesh run --zone east --context kind-east -c config.yaml":       {parsed, "it takes a cluster; TestKubernetes runs nodes on one"},
	"mesh doctor":       {parsed, "what it finds depends on this machine; TestDoctorTranscript runs it"},
	"mesh demo":         {parsed, "TestDemo tells the whole story"},
	"mesh demo --plain": {parsed, "TestDemo tells the whole story"},
	"mesh demo --keep":  {parsed, "TestDemo tells the whole story"},
}

var (
	comment   = regexp.MustCompile(`(\s{2,}|\s+#\s).*$`) // what is said about an example
	tokenText = regexp.MustCompile(`meshinv1_\S+`)
	fence     = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
)

// allExamples are those of help and the README, without the words about them. The token of each is called TOKEN.
func allExamples(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	add := func(line string) {
		if line = comment.ReplaceAllString(strings.TrimSpace(line), ""); line != "" {
			seen[tokenText.ReplaceAllString(line, "meshinv1_TOKEN")] = true
		}
	}
	eachCommand(t, func(c *cobra.Command) {
		for _, line := range examples(c) {
			add(line)
		}
	})
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fence.FindAllSubmatch(readme, -1) {
		for line := range strings.Lines(string(block[1])) {
			if strings.HasPrefix(line, "mesh ") {
				add(line)
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Every example of help and the README runs as it stands there, by a shell, in a folder with what it speaks of.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	all := allExamples(t)
	for line := range unusualExamples {
		if !slices.Contains(all, line) {
			t.Errorf("%s is no example any more; take it out of unusualExamples", line)
		}
	}
	for _, line := range all {
		kind := unusualExamples[line].kind
		if kind == parsed {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			w := newExampleWorld(t, line, kind)
			switch kind {
			case asks:
				w.runs()
			case endless:
				w.endsBySignal(func() bool { return w.out.String() != "" }, exitInterrupted)
			case draws:
				w.endsByKey()
			case starts:
				w.endsBySignal(w.nodeAnswers, exitOK)
			case joins:
				w.line = tokenText.ReplaceAllString(w.line, w.invited())
				if strings.Contains(line, "--run") || strings.HasPrefix(line, "mesh run") {
					w.endsBySignal(w.nodeAnswers, exitOK)
				} else {
					w.runs()
				}
			}
		})
	}
}

// exampleWorld is the folder in which an example runs.
type exampleWorld struct {
	t    *testing.T
	dir  string
	line string
	out  *lockedBuffer
	cmd  *exec.Cmd
}

// newExampleWorld has the key of east, a configuration, and, where a node is asked, one that answers.
func newExampleWorld(t *testing.T, line string, kind exampleKind) *exampleWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "mesh-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &exampleWorld{t: t, dir: dir, out: &lockedBuffer{}}
	w.line = strings.NewReplacer("/etc/", "etc/", `"${fpath[1]}/_mesh"`, "_mesh").Replace(line)
	for _, sub := range []string{"etc/bash_completion.d", "etc/mesh", ".config/fish/completions", "manifests/local", "east/.mesh", ".mesh"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile("../../internal/tui/testdata/overview.sse")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"config.yaml": "mesh: {zone: east}\n", "recorded.sse": string(recorded)}
	if line != "mesh keygen" && kind == asks {
		files["private.key"] = testSeed + "\n"
	}
	if kind == joins || kind == starts {
		delete(files, "config.yaml")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if kind == asks || kind == endless || kind == draws {
		node := exampleNode(t)
		serveFakeIn(t, node, filepath.Join(dir, ".mesh"), "")
		serveFakeIn(t, node, filepath.Join(dir, "east", ".mesh"), "")
	}
	return w
}

// exampleNode knows whom and what the examples speak of.
func exampleNode(t *testing.T) *fakeNode {
	t.Helper()
	node := completingNode(t)
	node.status.Ready, node.status.InSync, node.cuts = true, true, true
	key, err := keys.ParsePublic(otherPublic)
	if err != nil {
		t.Fatal(err)
	}
	for i := range node.peers {
		if node.peers[i].Name == "west" {
			node.peers[i].PublicKey, node.peers[i].PeerID = key.String(), key.PeerID()
		}
	}
	node.writeLog(t, seedKey(2), mesh.Instance{Zone: "west", Incarnation: 1_700_000_000_000})
	for _, name := range []string{"ConfigMap/default/hello", "Deployment.apps/default/web", "Namespace/team", "configmap/default/hello"} {
		node.adoptions[name] = mesh.Adoption{Zone: "east", Done: true, Differs: []string{},
			Resource: mesh.Resource{Object: name, Owner: "east", State: "Live", Epoch: 1, Version: 4, Claims: []mesh.Zone{"east"}}}
	}
	app := node.adoptions["ConfigMap/default/app"].Resource
	node.traces = map[string]mesh.Trace{app.Object: {Resource: app, Steps: []mesh.TraceStep{{Name: "owner", Status: mesh.CheckOK, Message: "west owns it"}}}}
	node.checks = []mesh.CheckResult{{Group: "network", ID: "network.bound", Status: mesh.CheckOK, Message: "as configured"}}
	return node
}

// environ is that of a script that runs nodes: free ports, on loopback alone.
func (w *exampleWorld) environ() []string {
	return append(os.Environ(), "HOME="+w.dir, "NO_COLOR=1", "MESH_BIND_PORT=0", "MESH_HTTP_BIND_PORT=0", "MESH_BIND_ADDRESS=[127.0.0.1]",
		"MESH_HTTP_BIND_ADDRESS=127.0.0.1", "MESH_MESH__BOOTSTRAP=true", "MESH_LOG_FORMAT=text")
}

// start starts the line. Whoever is asked a question answers yes, on a terminal.
func (w *exampleWorld) start() {
	w.t.Helper()
	person, program := openTerminal(w.t)
	if _, err := person.WriteString("y\n"); err != nil {
		w.t.Fatal(err)
	}
	w.cmd = exec.Command("bash", "-c", "set -o pipefail; "+w.line)
	if w.dir == "" {
		w.t.Fatal("no folder")
	}
	w.cmd.Dir, w.cmd.Env = w.dir, w.environ()
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = program, w.out, w.out
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) }) // gone, where all went well
}

// endsByKey gives the line a terminal of its own, waits until it is drawn on, and presses q.
func (w *exampleWorld) endsByKey() {
	w.t.Helper()
	person, program := openTerminal(w.t)
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		w.t.Fatal(err)
	}
	w.cmd = exec.Command("bash", "-c", w.line)
	w.cmd.Dir, w.cmd.Env = w.dir, append(w.environ(), "TERM=xterm-256color")
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = program, program, program
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	limit := time.AfterFunc(pollFor, func() { _ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) })
	defer limit.Stop()
	go func() { // ends when the terminal is closed
		_, _ = io.Copy(w.out, person)
	}()
	for deadline := time.Now().Add(pollFor); !strings.Contains(w.out.String(), "MESH "); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			w.t.Fatalf("nothing is drawn:\n%q", w.out)
		}
	}
	if _, err := person.WriteString("q"); err != nil {
		w.t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("%v after q:\n%q", err, w.out)
	}
}

func (w *exampleWorld) runs() {
	w.t.Helper()
	w.start()
	limit := time.AfterFunc(pollFor, func() { _ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) })
	defer limit.Stop()
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("%v:\n%s", err, w.out)
	}
}

// endsBySignal waits until something holds, then has Ctrl-C pressed.
func (w *exampleWorld) endsBySignal(holds func() bool, exit int) {
	w.t.Helper()
	w.start()
	ended := make(chan error, 1)
	go func() { ended <- w.cmd.Wait() }()
	for deadline := time.Now().Add(pollFor); !holds(); time.Sleep(pollInterval) {
		select {
		case err := <-ended:
			w.t.Fatalf("it ended, %v:\n%s", err, w.out)
		default:
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %s:\n%s", pollFor, w.out)
		}
	}
	if err := syscall.Kill(-w.cmd.Process.Pid, syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	select {
	case <-ended:
		if got := w.cmd.ProcessState.ExitCode(); got != exit {
			w.t.Errorf("exit code %d, want %d:\n%s", got, exit, w.out)
		}
	case <-time.After(pollFor):
		w.t.Errorf("it goes on:\n%s", w.out)
	}
}

// nodeAnswers reports whether the node of the folder says that it is ready.
func (w *exampleWorld) nodeAnswers() bool {
	cmd := exec.Command("mesh", "status", "-o", "json")
	cmd.Dir, cmd.Env = w.dir, w.environ()
	out, err := cmd.Output()
	return err == nil && bytes.Contains(out, []byte(`"ready": true`))
}

// invited starts zone east in a folder beside, writes a token for zone west into west.token and returns it.
func (w *exampleWorld) invited() string {
	w.t.Helper()
	inviter := newExampleWorld(w.t, "mesh run --zone east", starts)
	inviter.start()
	w.t.Cleanup(func() {
		_ = syscall.Kill(-inviter.cmd.Process.Pid, syscall.SIGKILL)
		_ = inviter.cmd.Wait() // it was killed
	})
	for deadline := time.Now().Add(pollFor); !inviter.nodeAnswers(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			w.t.Fatalf("east does not answer:\n%s", inviter.out)
		}
	}
	cmd := exec.Command("mesh", "invite", "-q", "--zone", "west")
	cmd.Dir, cmd.Env = inviter.dir, inviter.environ()
	text, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("invite: %v", err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "west.token"), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
