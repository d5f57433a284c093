// Command corpus writes a made-up DAG project, the same one each time:
//
//	corpus small|medium|large DIR
//
// Small has 40 files and 0.3 MB; medium 2,000 and 15 MB; large 20,000 and
// 400 MB with eight binaries of 5 to 20 MB. Text compresses about fourfold.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// project is what is asked for.
type project struct {
	files, bytes, binaries int
	mixed                  bool // not only Python
}

var projects = map[string]project{
	"small":  {files: 40, bytes: 300 << 10},
	"medium": {files: 2000, bytes: 15 << 20, mixed: true},
	"large":  {files: 20000, bytes: 400 << 20, binaries: 8, mixed: true},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: corpus small|medium|large DIR")
	}
	p, ok := projects[args[0]]
	if !ok {
		return fmt.Errorf("there is no project %q", args[0])
	}
	w := newWriter(args[1], p)
	for i := range p.files {
		if err := w.file(i); err != nil {
			return err
		}
	}
	return nil
}

// writer writes the files of a project.
type writer struct {
	project
	dir  string
	left int // bytes to write
	text
}

func newWriter(dir string, p project) *writer {
	r := rand.New(rand.NewPCG(42, uint64(p.files)))
	words := makeWords(rand.New(rand.NewPCG(1, 1)))
	return &writer{project: p, dir: dir, left: p.bytes, text: text{
		rand: r, zipf: rand.NewZipf(r, 1.25, 8, uint64(len(words)-1)), words: words,
	}}
}

// file writes the i-th file: the binaries come first.
func (w *writer) file(i int) error {
	w.Reset()
	name := w.fill(i)
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w.left -= w.Len()
	return os.WriteFile(path, w.Bytes(), 0o644)
}

// fill makes the content of the i-th file and returns its path.
func (w *writer) fill(i int) string {
	if i < w.binaries {
		w.binary(5<<20 + w.rand.IntN(15<<20))
		return fmt.Sprintf("vendor/bin/%s_%02d.bin", w.word(), i)
	}
	size, team := w.size(i), fmt.Sprintf("team_%02d/%s", i/100%100, w.words[i/20%len(w.words)])
	if !w.mixed {
		w.python(size)
		return fmt.Sprintf("%s_%03d.py", w.word(), i)
	}
	switch k := w.rand.IntN(10); {
	case k < 5:
		w.python(size)
		return fmt.Sprintf("pipelines/%s/%s_%05d.py", team, w.word(), i)
	case k < 7:
		w.repeat(size, queries)
		return fmt.Sprintf("sql/%s/%s_%05d.sql", team, w.word(), i)
	case k < 9:
		w.repeat(size, tables)
		return fmt.Sprintf("config/%s/%s_%05d.yaml", team, w.word(), i)
	}
	w.write("[\n")
	w.repeat(size, records)
	w.write("  {}\n]\n")
	return fmt.Sprintf("data/%s/%s_%05d.json", team, w.word(), i)
}

// size returns how large the i-th file is to be: many are small, few large,
// and all together are as large as the project.
func (w *writer) size(i int) int {
	average := float64(w.left) / float64(w.files-i)
	size := int(average * (0.15 + w.rand.ExpFloat64()*0.85))
	if i == w.files-1 || size > w.left {
		return int(average)
	}
	return size
}

// text makes text that reads and compresses like a project's.
type text struct {
	bytes.Buffer
	rand  *rand.Rand
	zipf  *rand.Zipf
	words []string
}
