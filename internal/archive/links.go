package archive

import (
	"context"
	"fmt"

	"slipway/internal/slipway"
)

// checkLinks refuses a symlink that leads out of the root, at any step of the
// way, and symlinks through which a walk over all folders would never end.
func (t *tree) checkLinks(ctx context.Context, files []slipway.File) error {
	for _, f := range files {
		if f.Link == "" {
			continue
		}
		if err := t.checkTarget(f); err != nil {
			return err
		}
	}
	s := newSpots(t.lim.Files, t.lim.Path)
	links, ok := s.addAll(files)
	if !ok {
		return t.lim.tooManyFiles()
	}
	for _, l := range links {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("check symlinks: %w", err)
		}
		if bad, why := s.follow(l, 1); why != sound {
			return t.faulty(bad, why)
		}
	}
	return t.checkCircles(s)
}

// ErrTooManyFiles refuses a manifest of more files and folders than MaxFiles.
var ErrTooManyFiles = fmt.Errorf("there are more than %d files and folders", MaxFiles)

// CheckLinks checks the symlinks of a manifest, whose paths are clean. Each must
// lead to a place inside the version, over at most as many symlinks as Linux
// follows, and the version holds at most MaxFiles files and folders.
func CheckLinks(files []slipway.File) error {
	s := newSpots(MaxFiles, MaxPath)
	links, ok := s.addAll(files)
	if !ok {
		return ErrTooManyFiles
	}
	for _, l := range links {
		switch bad, why := s.follow(l, 1); why {
		case sound:
		case tooFar:
			return fmt.Errorf("the symlink %q leads in a circle, or over more than %d symlinks", bad.path, MaxHops)
		case tooLong, tooSlow:
			return fmt.Errorf("the symlink %q leads too far", bad.path)
		default:
			return fmt.Errorf("the symlink %q leaves the version", bad.path)
		}
	}
	return nil
}

func (t *tree) checkTarget(f slipway.File) error {
	if err := CheckText("target", f.Link); err != nil {
		return slipway.Errorf(slipway.Invalid, "The symlink %s has a target that is not UTF-8 or holds a control character.", t.quote(f.Path))
	}
	if len(f.Link) > t.lim.Path {
		return slipway.Errorf(slipway.TooLarge, "The target of the symlink %s has more than %d bytes.", t.quote(f.Path), t.lim.Path)
	}
	return nil
}

// faulty says why the symlink l cannot be.
func (t *tree) faulty(l *spot, why fault) error {
	name := t.quote(l.path)
	switch why {
	case absolute:
		return slipway.Errorf(slipway.Invalid, "The symlink %s has the absolute target %s. Make it relative, to a file that is deployed with it.", name, Quote(l.link))
	case leaves:
		return slipway.Errorf(slipway.Invalid, "The symlink %s to %s leaves the root of what is deployed.", name, Quote(l.link))
	case tooLong:
		return slipway.Errorf(slipway.TooLarge, "The symlink %s leads to a path of more than %d bytes.", name, t.lim.Path)
	case tooSlow:
		return slipway.Errorf(slipway.TooLarge, "The targets of all symlinks have more than %d names together: %s is beyond the limit. Use fewer symlinks, or shorter targets.", stepsPerFile*t.lim.Files, name)
	}
	return slipway.Errorf(slipway.Invalid, "The symlink %s leads in a circle, or over more than %d symlinks.", name, MaxHops)
}

// checkCircles refuses links through which a folder holds itself: Airflow
// follows links to folders when it looks for DAG files, and would give up.
func (t *tree) checkCircles(s *spots) error {
	c := circles{tree: t, walked: map[*spot]bool{}}
	return c.walk(s.root, nil)
}

type circles struct {
	tree   *tree
	walked map[*spot]bool // false while a folder is being walked, true after it
}

// walk visits all folders from at on. Via is the link followed last.
func (c *circles) walk(at, via *spot) error {
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
			return slipway.Errorf(slipway.Invalid, "The symlink %s leads in a circle, back to a folder that holds it.", c.tree.quote(last.path))
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
