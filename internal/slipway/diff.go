package slipway

// FileDiff is the difference between two contents of a file.
type FileDiff struct {
	Path      string
	Binary    bool // at least one of the contents is no text
	TooLarge  bool // to be compared line by line
	OldSize   int64
	NewSize   int64
	OldSHA256 string // "" for an added file
	NewSHA256 string // "" for a removed file
	Added     int    // lines
	Removed   int
	Hunks     []Hunk
}

// Hunk is a run of lines with differences.
type Hunk struct {
	OldStart, OldLines int
	NewStart, NewLines int
	Lines              []DiffLine
}

// DiffLine is a line of a Hunk.
type DiffLine struct {
	Op        byte // ' ', '+' or '-'
	Old, New  int  // line numbers, 0 for none
	Text      string
	NoNewline bool   // the file ends here, without a newline
	Marks     []Span // parts of Text that differ from the replaced or replacing line
}

// Span is a part of a text, in bytes.
type Span struct{ From, To int }
