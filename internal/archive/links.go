package archive

import (
	"fmt"

	"slipway/internal/slipway"
)

// ErrTooManyFiles refuses a manifest of more files and folders than MaxFiles.
var ErrTooManyFiles = fmt.Errorf("there are more than %d files and folders", MaxFiles)

// CheckLinks checks the symlinks among the files of a manifest with clean paths.
// Each must lead to a place inside the version, over at most MaxHops symlinks.
// Files that are no symlinks may be left out: a way ends there as it does where
// nothing is.
func CheckLinks(files []slipway.File) error {
	s := newResolver(MaxFiles, MaxPath)
	var all []slipway.File
	for _, f := range files {
		if f.Link != "" {
			all = append(all, f)
		}
	}
	links, ok := s.addAll(all)
	if !ok {
		return ErrTooManyFiles
	}
	for _, l := range links {
		switch bad, why := s.follow(l, 1); why {
		case linkSound:
		case linkLoops:
			return fmt.Errorf("the symlink %q leads in a circle, or over more than %d symlinks", bad.path, MaxHops)
		case linkTooLong, linkTooCostly:
			return fmt.Errorf("the symlink %q leads too far", bad.path)
		default:
			return fmt.Errorf("the symlink %q leaves the version", bad.path)
		}
	}
	return nil
}

type circles struct {
	tree   *tree
	walked map[*place]bool // false during the walk of a folder, then true
}

// walk visits all folders from at on. Via is the link followed last.
func (c *circles) walk(at, via *place) error {
	c.walked[at] = false
	for _, to := range at.kids {
		last := via
		if to.isLink() {
			to, last = to.end, to
		}
		if !to.isFolder() {
			continue
		}
		switch done, seen := c.walked[to]; {
		case seen && !done:
			return slipway.Errorf(slipway.Invalid, "The symlink %s leads in a circle, back to a folder that holds it. Remove the symlink, or make it lead to another folder.", c.tree.quote(last.path))
		case seen:
			continue
		}
		if err := c.walk(to, last); err != nil {
			return err
		}
	}
	c.walked[at] = true
	return nil
}
