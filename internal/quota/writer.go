package quota

import "io"

// claimStep is the number of bytes claimed at once: a claim asks the file system.
const claimStep = 1 << 20

// Writer claims the space of each write before the bytes go to the file. Close
// gives back what was claimed and not written.
type Writer struct {
	ledger *Ledger
	upload string
	name   string // of the upload, for people
	to     io.Writer
	left   int64 // claimed, not written
	total  int64 // written
}

// Writer returns a Writer for the bytes of an upload; upload is "" for bytes of
// the portal itself.
func (l *Ledger) Writer(upload string, to io.Writer) *Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &Writer{ledger: l, upload: upload, to: to}
	if e := l.uploads[upload]; e != nil {
		w.name = e.Name
	}
	return w
}

// Write implements io.Writer. After the end of the upload, Write refuses.
func (w *Writer) Write(p []byte) (n int, err error) {
	if err := w.claim(int64(len(p))); err != nil {
		return 0, err
	}
	n, err = w.to.Write(p)
	w.left -= int64(n)
	w.total += int64(n)
	w.ledger.written(int64(n))
	return n, err
}

// claim claims a step, or only the missing bytes where a step does not fit.
func (w *Writer) claim(bytes int64) error {
	missing := bytes - w.left
	if missing <= 0 {
		return w.ledger.Takes(w.upload, w.name)
	}
	step := max(missing, claimStep)
	err := w.ledger.claim(w.upload, w.name, step)
	if err != nil && step > missing {
		step = missing
		err = w.ledger.claim(w.upload, w.name, step)
	}
	if err == nil {
		w.left += step
	}
	return err
}

// Written returns the number of bytes written.
func (w *Writer) Written() int64 { return w.total }

// Close returns the unused claim. The file stays open.
func (w *Writer) Close() error {
	w.ledger.unclaim(w.upload, w.left)
	w.left = 0
	return nil
}
