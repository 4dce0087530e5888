package folder

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/replica"
)

// BenchmarkSavedToReported measures from the moment a file is saved until the sink has its object, at rest.
func BenchmarkSavedToReported(b *testing.B) {
	for _, tt := range []struct {
		name string
		save func(f *bench, text string)
	}{
		{"written", func(f *bench, text string) { f.write("local/a.yaml", text) }},
		{"renamed", func(f *bench, text string) {
			f.must(os.WriteFile(f.path("local/.a.tmp"), []byte(text), 0o644))
			f.rename("local/.a.tmp", "local/a.yaml")
		}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			f := newFolder(b)
			reported := make(chan struct{}, 1)
			f.react = func(in replica.Input) {
				if _, ok := in.(replica.Local); ok {
					reported <- struct{}{}
				}
			}
			f.started()
			var took []time.Duration
			n := 0
			for b.Loop() {
				n++
				start := time.Now()
				tt.save(f, cm("a", fmt.Sprint(n)))
				<-reported
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			f.stop()
		})
	}
}

// BenchmarkPutReplica measures one replica at a time, and many at once.
func BenchmarkPutReplica(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint("batch-", batch), func(b *testing.B) {
			f := newFolder(b)
			done := make(chan struct{}, batch)
			f.react = func(in replica.Input) {
				if w, ok := in.(replica.Written); ok {
					if w.Err != "" {
						b.Error(w.Err)
					}
					done <- struct{}{}
				}
			}
			f.started()
			n := 0
			for b.Loop() {
				var writes []replica.Write
				for i := range batch {
					n++
					writes = append(writes, f.claim(replica.PutReplica, fmt.Sprint("r", i), "us", fmt.Sprint(n), 1))
				}
				f.f.Apply(writes)
				for range batch {
					<-done
				}
			}
			f.stop()
		})
	}
}

// BenchmarkFirstPass reads 1,000 files.
func BenchmarkFirstPass(b *testing.B) {
	f := newFolder(b)
	old := time.Now().Add(-time.Hour)
	for i := range 1000 {
		p := fmt.Sprintf("local/o%d.yaml", i)
		f.write(p, cm(fmt.Sprint("o", i), "1"))
		f.must(os.Chtimes(f.path(p), old, old))
	}
	for b.Loop() {
		again := folderAt(b, f.dir).started()
		again.stop()
	}
}
