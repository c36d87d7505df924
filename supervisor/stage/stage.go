// Package stage is what brs-exec is before it is brs-exec: importing it makes
// the program look, in the first moments of its initialisation, at what it was
// started as, and possibly never reach main.
//
//   - As PID 1 it starts itself once more, as the worker that does everything,
//     and from then on only forwards signals and reaps children: its own, and
//     the orphans that the kernel gives to PID 1. It can wait for all of them
//     because nothing else in that process does (os/exec would be in the way).
//     When the worker ends, it ends with the same exit code, or 128+n.
//   - After [Subreap] it does the same with the orphans of its descendants,
//     without being PID 1.
//   - After [ListenCommand] it sets LISTEN_PID to its own pid and becomes the command that
//     expects systemd's sockets.
//
// The package imports little, and Go initialises packages as early as their
// imports and their path allow, so none of the large ones is initialised in a
// stage: it stays small. Keep it so.
//
// On other systems than Linux it does nothing.
package stage

// marker is the environment variable that leads a process to the role that it has
// been given: to be a stage, or what a stage starts. It is removed from the
// environment before main.
const marker = "_BRS_EXEC_STAGE"
