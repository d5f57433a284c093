package archive

import (
	"context"
	"io"
	"path"
	"strings"

	"slipway/internal/slipway"
)

// innerArchive returns the name of the archive that holds the DAGs inside this one, as
// the artifacts of CI systems do: an archive without a DAG file, and with one archive.
// lost reports that the archive itself has no root.
func (s *scan) innerArchive(found slipway.Root, lost bool) (string, error) {
	holds := found.Path == "" || found.Path == s.tree.wrapper() && path.Base(found.Path) != dagsFolder
	if s.search.Root != "" && !lost || len(s.isDAG) > 0 || !holds {
		return "", nil
	}
	var inner []string
	for _, e := range s.entries {
		if e.Link == "" && holdsDags(e.Name) {
			inner = append(inner, e.Name)
		}
	}
	switch {
	case len(inner) == 0 || s.search.Add && len(s.entries) > 1:
		return "", nil
	case len(inner) > 1:
		return "", slipway.Errorf(slipway.Invalid, "The archive holds no DAG file, but the archives %s and %s. Upload the one with the DAGs.", Quote(inner[0]), Quote(inner[1]))
	}
	return inner[0], nil
}

// holdsDags reports whether a file is by its name an archive of DAGs. Airflow reads DAGs
// from a .zip, too: only one called dags is taken for an archive.
func holdsDags(name string) bool {
	base := strings.ToLower(path.Base(name))
	return endsIn(base, tarEndings) || base == dagsFolder+".zip"
}

// Extract gives the content of the file name, an archive inside the archive in f, to take.
func Extract(ctx context.Context, f io.ReaderAt, size int64, lim Limits, name string, take func(Entry, io.Reader) error) error {
	found := false
	_, err := Read(ctx, f, size, lim, Search{Root: slipway.WholeArchive}, func(e Entry, r io.Reader) (bool, error) {
		if e.Name != name {
			return false, nil
		}
		found = true
		if e.Size > lim.Archive {
			return false, slipway.Errorf(slipway.TooLarge, "The archive %s in the upload has %s, and at most %s are allowed. Leave out what is not deployed, or ask an administrator for a higher --max-archive.", Quote(name), SizeText(e.Size), SizeText(lim.Archive))
		}
		lim.Upload = size
		if err := lim.checkInner(e.Size, false); err != nil {
			return false, err
		}
		return false, take(e, r)
	})
	if err == nil && !found {
		err = slipway.Errorf(slipway.Invalid, "There is no file %s in the archive. Choose another, or upload the archive again.", Quote(name))
	}
	return err
}
