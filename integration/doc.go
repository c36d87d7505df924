// Package integration tests brs-exec as its users meet it: the built binary,
// real clients, real servers, and faults. It knows nothing of the packages that
// the binary is made of.
//
// Clients that are not installed (.ci/install-clients does it) are skipped, and
// fail the tests instead when BRS_EXEC_REQUIRE_CLIENTS=1. With -short, what
// takes longer than a few seconds is left out. The tests need a Unix.
package integration
