//go:build race

package archive

// raceDetector is whether the tests run with it.
const raceDetector = true
