package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The parts of a -wal, as SQLite's description of its file format has them: a
// header, then frames, each of them a head and a page.
const (
	walHeader    = 32
	walFrameHead = 24
	walPageSize  = 8  // where the header has the size of a page
	walSalt      = 16 // where it has what its frames repeat
	frameCommit  = 4  // where a frame's head has the size of the database, if a transaction ends there
	frameSalt    = 8
	saltBytes    = 8
)

// committed reports whether a transaction has ended in the -wal at path. What
// comes before the end of the first one is nothing yet.
func committed(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the database: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	var head [walHeader]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return false, nil // not even its header is whole
	}
	salt := head[walSalt : walSalt+saltBytes]
	page := int(binary.BigEndian.Uint32(head[walPageSize:]))
	for {
		var frame [walFrameHead]byte
		if _, err := io.ReadFull(in, frame[:]); err != nil || string(frame[frameSalt:frameSalt+saltBytes]) != string(salt) {
			return false, nil
		}
		if n, err := in.Discard(page); err != nil || n < page {
			return false, nil // cut off
		}
		if binary.BigEndian.Uint32(frame[frameCommit:]) != 0 {
			return true, nil
		}
	}
}
