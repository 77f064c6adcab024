//go:build unix && !linux

package process_test

const diesWithParent = false
