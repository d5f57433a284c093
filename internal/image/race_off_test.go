//go:build !race

package image_test

// raceDetector is whether the tests run with it.
const raceDetector = false
