package slipway

// maxNamed is the number of DAG files named in a warning.
const maxNamed = 10
