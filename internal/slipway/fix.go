package slipway

import "strings"

// FixMax is how many bytes a text may have to be edited on a page.
const FixMax = 1 << 20

// Editable returns an error for text that a page cannot edit: above FixMax,
// with NUL bytes, in another encoding than UTF-8, or with mixed line ends.
func Editable(text []byte) error {
	if len(text) > FixMax {
		return Errorf(TooLarge, "A text of more than %d MiB cannot be edited here. Upload a file in its place.", FixMax>>20)
	}
	switch f := FormOf(text); {
	case f.Encoding == "":
		return Errorf(Invalid, "The file is not text. Upload a file in its place.")
	case f.Encoding != utf8Plain && f.Encoding != utf8BOM:
		return Errorf(Invalid, "The file is a text in another encoding than UTF-8, which a form cannot keep. Upload a file in its place.")
	case !f.OneEnd():
		return Errorf(Invalid, "The lines of this file end in different ways, which a form cannot keep. Upload a file in its place.")
	}
	return nil
}

// bom is the byte order mark at the beginning of some texts in UTF-8.
const bom = "\ufeff"

// InForm returns a text as a form has the text: without the BOM, which nobody sees there.
func InForm(text string) string { return strings.TrimPrefix(text, bom) }

// lineEnds are the ends of lines by their names.
var lineEnds = map[string]string{"CRLF": "\r\n", "CR": "\r"}

// Retyped returns the text typed into a form in place of old, with the line
// ends, the final newline and the BOM of old. Browsers always send CRLF.
func Retyped(old, typed string) (string, error) {
	text := InForm(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(typed))
	if text == "" {
		return "", Errorf(Invalid, "The text is empty. To remove the file, deploy without it.")
	}
	if (strings.HasSuffix(old, "\n") || strings.HasSuffix(old, "\r")) && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if end := lineEnds[FormOf([]byte(old)).Ends]; end != "" {
		text = strings.ReplaceAll(text, "\n", end)
	}
	if strings.HasPrefix(old, bom) {
		text = bom + text
	}
	return text, Editable([]byte(text))
}
