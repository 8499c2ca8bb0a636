package api

// MaxSnapshot bounds one message of the configuration service, in bytes; a
// cluster file is 16 MiB at most.
const MaxSnapshot = 32 << 20
