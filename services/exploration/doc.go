// Package exploration tries the flow protocol exhaustively (S-95): one flow,
// three LB nodes with the workers of lbnode, two servers with the agent of the
// module, and a client that repeats what is not answered. There is a schedule
// without faults, and every way to depart from it by up to so many faults is
// run: a datagram lost, doubled, overtaken or late, a node that dies, a change of
// the ring, a timer that fires before what is in flight arrives.
//
// Workers cannot be copied, so a run is named by its choices, and every run
// starts from the beginning. States that were met before with as many faults
// left are not entered again.
package exploration
