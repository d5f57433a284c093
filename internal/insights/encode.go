package insights

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"slipway/internal/slipway"
)

// format is the first byte of encoded Sums and Weights: its number.
const format = 1

var errFormat = errors.New("insights: no sums of this format")

// Encode returns s as bytes: the format, then unsigned varints. Live, Undone,
// Failed, Stored; the steps in milliseconds; each histogram as the number of its
// classes with the distance to the class before and the count; the number of
// people and tokens, each with its id and outcomes. Nothing in s is negative.
func (s *Sums) Encode() []byte {
	b := []byte{format}
	for _, n := range []int64{s.Live, s.Undone, s.Failed, s.Stored} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, d := range s.Steps {
		b = binary.AppendUvarint(b, uint64(d.Milliseconds()))
	}
	b = s.Restored.encode(s.Took.encode(b))
	b = binary.AppendUvarint(b, uint64(len(s.By)))
	for _, id := range slices.Sorted(maps.Keys(s.By)) {
		b = binary.AppendUvarint(b, uint64(len(id)))
		b = append(b, id...)
		for _, n := range []int64{s.By[id].Live, s.By[id].Undone, s.By[id].Failed} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

func (h *Histogram) encode(b []byte) []byte {
	used := 0
	for _, n := range h.class {
		if n != 0 {
			used++
		}
	}
	b = binary.AppendUvarint(b, uint64(used))
	last := 0
	for class, n := range h.class {
		if n != 0 {
			b = binary.AppendUvarint(b, uint64(class-last))
			b = binary.AppendUvarint(b, uint64(n))
			last = class
		}
	}
	return b
}

// MergeEncoded adds Sums from Encode to s.
func (s *Sums) MergeEncoded(b []byte) error {
	r := reader{b: b}
	if r.byte() != format {
		return errFormat
	}
	for _, n := range []*int64{&s.Live, &s.Undone, &s.Failed, &s.Stored} {
		*n += r.number()
	}
	for i := range s.Steps {
		s.Steps[i] += time.Duration(r.number()) * time.Millisecond
	}
	s.Took.decode(&r)
	s.Restored.decode(&r)
	for range r.number() {
		id := r.text()
		s.addBy(id, Outcomes{r.number(), r.number(), r.number()})
		if r.bad {
			break
		}
	}
	if r.bad || len(r.b) > 0 {
		return errFormat
	}
	return nil
}

// maxClass is above the class of the longest duration.
const maxClass = 512

func (h *Histogram) decode(r *reader) {
	class := int64(0)
	for range r.number() {
		class += r.number()
		n := r.number()
		if r.bad || class >= maxClass {
			r.bad = true
			return
		}
		h.addClass(int(class), n)
	}
}

// Encode returns w as bytes, nil for a weight that adds nothing.
func (w Weight) Encode() []byte {
	if !w.Counts() {
		return nil
	}
	outcome := 0
	switch {
	case w.Undone:
		outcome = 1
	case w.Failed:
		outcome = 2
	}
	b := []byte{format}
	for _, n := range []int64{int64(w.Day), int64(outcome), w.Stored, after(w.Took), after(w.Restored)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, d := range w.Steps {
		b = binary.AppendUvarint(b, uint64(d.Milliseconds()))
	}
	for _, text := range []string{string(w.Kind), w.By} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

// after returns the milliseconds of d and one more, 0 for a duration that was not
// measured.
func after(d time.Duration) int64 {
	if d < 0 {
		return 0
	}
	return d.Milliseconds() + 1
}

func before(n int64) time.Duration {
	if n == 0 {
		return none
	}
	return time.Duration(n-1) * time.Millisecond
}

// DecodeWeight returns the Weight of Encode.
func DecodeWeight(b []byte) (w Weight, err error) {
	if b == nil {
		return Weight{Took: none, Restored: none}, nil
	}
	r := reader{b: b}
	if r.byte() != format {
		return w, errFormat
	}
	w.Day = int(r.number())
	outcome := r.number()
	w.Live, w.Undone, w.Failed = outcome == 0, outcome == 1, outcome == 2
	w.Stored, w.Took, w.Restored = r.number(), before(r.number()), before(r.number())
	for i := range w.Steps {
		w.Steps[i] = time.Duration(r.number()) * time.Millisecond
	}
	w.Kind, w.By = slipway.DeployKind(r.text()), r.text()
	if r.bad || len(r.b) > 0 || !w.Counts() {
		return w, errFormat
	}
	return w, nil
}

// reader reads encoded values. bad is set for good at the first defect.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	first := r.b[0]
	r.b = r.b[1:]
	return first
}

func (r *reader) number() int64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || int64(n) < 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return int64(n)
}

func (r *reader) text() string {
	n := r.number()
	if r.bad || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	text := string(r.b[:n])
	r.b = r.b[n:]
	return text
}
