// Package mutation breaks rules of the product on purpose, in a copy that only
// the compiler sees, and expects the simulation and the exploration to notice:
// so it is known that they can fail.
package mutation
