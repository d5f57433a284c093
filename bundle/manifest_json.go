package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"slipway"
)

// writeList writes a version and its files as one JSON object, file by file:
// the text of a large version is never in memory as a whole.
func writeList[F any](w io.Writer, v slipway.Version, files []F) error {
	if _, err := fmt.Fprintf(w, "{\"version\":%q,\"files\":[\n", v); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for i := range files {
		if i > 0 {
			if _, err := io.WriteString(w, ","); err != nil {
				return err
			}
		}
		if err := enc.Encode(&files[i]); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

// readList reads what writeList wrote, however it is laid out. It has to be all
// there is.
func readList[F any](r io.Reader) (v slipway.Version, files []F, err error) {
	dec := json.NewDecoder(io.LimitReader(r, manifestMax))
	if err := expect(dec, json.Delim('{')); err != nil {
		return "", nil, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return "", nil, err
		}
		switch key {
		case "version":
			err = dec.Decode(&v)
		case "files":
			files, err = readFiles[F](dec)
		default:
			err = dec.Decode(new(json.RawMessage)) // of a later release
		}
		if err != nil {
			return "", nil, err
		}
	}
	if err := expect(dec, json.Delim('}')); err != nil {
		return "", nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", nil, errors.New("there is data after the end")
	}
	return v, files, nil
}

func readFiles[F any](dec *json.Decoder) (files []F, err error) {
	if err := expect(dec, json.Delim('[')); err != nil {
		return nil, err
	}
	for dec.More() {
		var f F
		if err := dec.Decode(&f); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, expect(dec, json.Delim(']'))
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err == nil && got != want {
		err = fmt.Errorf("there is %v instead of %v", got, want)
	}
	return err
}
