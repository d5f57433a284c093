package slipway

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// FixMax is how many bytes a text may have to be edited on a page.
const FixMax = 1 << 20

// Editable returns an error for text that a page cannot edit: above FixMax,
// with NUL bytes or invalid UTF-8, or with mixed line ends.
func Editable(text []byte) error {
	switch _, alike := lineEnd(string(text)); {
	case len(text) > FixMax:
		return Errorf(TooLarge, "A text of more than %d MiB cannot be edited here. Replace it by a file.", FixMax>>20)
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text):
		return Errorf(Invalid, "The file is not text. Replace it by a file.")
	case !alike:
		return Errorf(Invalid, "The lines of this file end in different ways, which a form cannot keep. Replace it by a file.")
	}
	return nil
}

// lineEnd returns the line end of text, and whether all lines end alike.
func lineEnd(text string) (end string, alike bool) {
	all, dos := strings.Count(text, "\n"), strings.Count(text, "\r\n")
	if dos == 0 {
		return "\n", !strings.Contains(text, "\r")
	}
	return "\r\n", all == dos && strings.Count(text, "\r") == dos
}

// Retyped returns the text typed into a form in place of old, with the line
// ends and the final newline of old. Browsers always send CRLF.
func Retyped(old, typed string) (string, error) {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(typed)
	if text == "" {
		return "", Errorf(Invalid, "The text is empty. To remove the file, deploy without it.")
	}
	if strings.HasSuffix(old, "\n") && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if end, _ := lineEnd(old); end != "\n" {
		text = strings.ReplaceAll(text, "\n", end)
	}
	return text, Editable([]byte(text))
}
