// Package config turns the command line and the configuration file into validated options. It decides nothing, reads no cluster and starts
// nothing: in go the arguments, the environment and one file; out come the options of every part of the daemon, or every error at once, each with
// the flag or the file's line that caused it and what to do about it.
package config
