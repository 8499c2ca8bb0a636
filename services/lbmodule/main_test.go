package main

import (
	"os"
	"testing"
)

// asProgram makes this test binary behave as the program that it tests, so
// that agents run as processes of their own.
const asProgram = "WEIR_TEST_RUN_LBMODULE"

func TestMain(m *testing.M) {
	if argument := os.Getenv(asMachine); argument != "" {
		becomeMachine(argument)
	}
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
