//go:build !race

package mount

// raceDetector is whether the tests run with it.
const raceDetector = false
