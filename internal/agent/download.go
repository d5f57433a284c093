package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// downloadTries is how often a broken download is resumed without a byte of
// progress.
const downloadTries = 5

// download reads a range of a pack, in several requests after interruptions.
type download struct {
	ctx     context.Context
	cancel  context.CancelFunc
	from    *Remote
	pack    string
	at, end int64
	body    io.ReadCloser // nil between two requests
	tries   int           // since the last byte
}

// Read returns the next bytes, and resumes a broken download.
func (d *download) Read(p []byte) (int, error) {
	for {
		if d.at >= d.end {
			return 0, io.EOF
		}
		if d.body == nil {
			if err := d.open(); err != nil {
				if !d.mayResume(err) {
					return 0, err
				}
				continue
			}
		}
		n, err := d.body.Read(p[:min(int64(len(p)), d.end-d.at)])
		if n > 0 {
			d.at, d.tries = d.at+int64(n), 0
			return n, nil
		}
		if err == nil {
			continue
		}
		_ = d.body.Close() // the connection is broken
		if d.body = nil; !d.mayResume(errors.Join(io.ErrUnexpectedEOF, err)) {
			return 0, fmt.Errorf("download pack %s at byte %d: %w", d.pack, d.at, err)
		}
	}
}

// mayResume reports whether a new request may succeed after err, and waits for
// the backoff first.
func (d *download) mayResume(err error) bool {
	if slipway.Explained(err) || d.tries >= downloadTries {
		return false
	}
	d.tries++
	return pause(d.ctx, d.tries-1, nil)
}

// open requests the bytes from d.at to d.end.
func (d *download) open() error {
	ctx, cancel := context.WithCancel(d.ctx)
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", d.at, d.end-1)}}
	resp, err := d.from.do(ctx, http.MethodGet, "packs/"+d.pack, h, nil) //nolint:bodyclose // closed by the download
	if err != nil {
		cancel()
		return err
	}
	body := watched(resp.Body, cancel)
	if err := d.seek(resp, body); err != nil {
		return errors.Join(err, body.Close())
	}
	d.body = body
	return nil
}

// seek skips the bytes of body before d.at, as a proxy may ignore the range.
func (d *download) seek(resp *http.Response, body io.Reader) error {
	if resp.StatusCode == http.StatusOK {
		_, err := io.CopyN(io.Discard, body, d.at)
		return err
	}
	if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", d.at)) {
		return fmt.Errorf("the portal sent %q of pack %s, not what was asked for", got, d.pack)
	}
	return nil
}

// Close closes the response, if one is open, and cancels the download.
func (d *download) Close() error {
	defer d.cancel()
	if d.body == nil {
		return nil
	}
	return d.body.Close()
}

// watchedBody cancels a request after stallTimeout without a byte.
type watchedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
	stall  *time.Timer
}

func watched(body io.ReadCloser, cancel context.CancelFunc) *watchedBody {
	return &watchedBody{body, cancel, time.AfterFunc(stallTimeout, cancel)}
}

// Read returns the next bytes, and starts the timeout anew.
func (w *watchedBody) Read(p []byte) (int, error) {
	w.stall.Reset(stallTimeout)
	return w.ReadCloser.Read(p)
}

// Close closes the response and cancels the request.
func (w *watchedBody) Close() error {
	w.stall.Stop()
	defer w.cancel()
	return w.ReadCloser.Close()
}
