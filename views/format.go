package views

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes returns n for reading: "48.0 MB".
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, units := float64(n), []string{"kB", "MB", "GB", "TB", "PB"}
	unit := ""
	for _, unit = range units {
		v /= 1000
		if v < 999.95 {
			break
		}
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
}

// Duration returns d for reading: "0.81 s", "12 s", "3 min 20 s", "2 h 5 min".
func Duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return Count(int(d.Hours())/24, "day")
}

const day = 24 * time.Hour

// Relative returns t as seen from now. app.js keeps the words fresh by the same
// rules.
func Relative(t, now time.Time) string {
	d := now.Sub(t)
	if d < -45*time.Second {
		return "in " + span(-d)
	}
	switch {
	case d < 45*time.Second:
		return "just now"
	case d < day:
		return span(d) + " ago"
	case d < 2*day:
		return "yesterday"
	case d <= 30*day:
		return span(d) + " ago"
	}
	return t.UTC().Format("2 Jan 2006")
}

func span(d time.Duration) string {
	switch {
	case d < 59*time.Minute+30*time.Second:
		return fmt.Sprintf("%d min", max(1, int(d.Round(time.Minute).Minutes())))
	case d < day:
		return fmt.Sprintf("%d h", max(1, int(d.Hours())))
	}
	return Count(int(d/day), "day")
}

// Count returns "1 file", "2 files".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// Number returns n with commas between thousands.
func Number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ShortDigest returns the first 12 hex digits of a digest, with or without the
// name of the algorithm before.
func ShortDigest(digest string) string {
	if _, hex, named := strings.Cut(digest, ":"); named {
		digest = hex
	}
	return digest[:min(12, len(digest))]
}
