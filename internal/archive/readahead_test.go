package archive

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"slipway/internal/slipway"
)

// patternless returns n bytes that hold no pattern.
func patternless(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func TestAheadGivesAllBytesAndThenTheError(t *testing.T) {
	broken := errors.New("broken")
	for name, size := range map[string]int{"nothing": 0, "little": 10, "blocks": 3 * readaheadBlock, "much": 20*readaheadBlock + 7} {
		t.Run(name, func(t *testing.T) {
			want := patternless(size)
			for end, r := range map[error]io.Reader{
				io.EOF: bytes.NewReader(want),
				broken: io.MultiReader(bytes.NewReader(want), iotest.ErrReader(broken)),
			} {
				a := newReadahead(iotest.DataErrReader(r))
				defer a.close()
				got := make([]byte, len(want)+1)
				n, err := io.ReadFull(a, got)
				if !bytes.Equal(got[:n], want) || err == nil {
					t.Errorf("%d bytes and %v, want %d and an error", n, err, len(want))
				}
				if _, err := a.Read(got); !errors.Is(err, end) {
					t.Errorf("behind them: %v, want %v", err, end)
				}
			}
		})
	}
}

func TestAheadStopsInTheMiddle(t *testing.T) {
	a := newReadahead(bytes.NewReader(make([]byte, 100*readaheadBlock)))
	if _, err := a.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	a.close() // returns
}

// A panic while unpacking is an error of ours, with the stack, and no fault of the archive.
func TestAheadRecovers(t *testing.T) {
	s := newScan(t.Context(), bytes.NewReader(nil), DefaultLimits(), Search{}, func(Entry, io.Reader) (bool, error) { return false, nil })
	s.last = "dags/a.py"
	err := tarReader{s}.readTarAhead(io.MultiReader(bytes.NewReader(tarBody(project...)), panicking{}))
	p, ok := errors.AsType[*slipway.PanicError](err)
	if !ok || slipway.Explained(err) || !bytes.Contains(p.Stack, []byte("panicking")) {
		t.Errorf("error %v, want the panic with the stack", err)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a bug in a library") }
