package insights

import (
	"math/bits"
	"time"
)

// Histogram counts durations in classes, each at most an eighth longer than it
// begins: a quantile is right to within 6 %. The zero Histogram is empty.
type Histogram struct {
	n     int64
	class []int64 // by number
}

// halves is the number of classes from one power of two to the next.
const halves = 8

// classOf returns the class of a duration. Those below 16 ms have a class for each
// millisecond.
func classOf(d time.Duration) int {
	ms := uint64(max(d.Milliseconds(), 0))
	if ms < 2*halves {
		return int(ms)
	}
	shift := bits.Len64(ms) - 4
	return shift*halves + int(ms>>shift)
}

// classBegin returns the shortest duration of a class.
func classBegin(class int) time.Duration {
	if class < 2*halves {
		return time.Duration(class) * time.Millisecond
	}
	shift := class/halves - 1
	return time.Duration(halves+class%halves) << shift * time.Millisecond
}

func (h *Histogram) add(d time.Duration, n int64) { h.addClass(classOf(d), n) }

func (h *Histogram) addClass(class int, n int64) {
	if class >= len(h.class) {
		h.class = append(h.class, make([]int64, class+1-len(h.class))...)
	}
	h.class[class] += n
	h.n += n
}

func (h *Histogram) merge(other *Histogram) {
	for class, n := range other.class {
		if n != 0 {
			h.addClass(class, n)
		}
	}
}

// Count returns the number of durations.
func (h *Histogram) Count() int64 { return h.n }

// Quantile returns the duration that the share q of all durations does not exceed:
// the middle of its class; 0 for an empty h.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n <= 0 {
		return 0
	}
	rank := int64(q*float64(h.n) + 0.999999) // the ceiling, but for errors of rounding
	rank = min(max(rank, 1), h.n)
	for class, n := range h.class {
		if rank -= n; rank <= 0 {
			from := classBegin(class)
			if class < 2*halves {
				return from
			}
			return from + (classBegin(class+1)-from)/2
		}
	}
	return 0
}
