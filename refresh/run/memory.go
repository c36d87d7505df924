package run

import (
	"context"
	"os"
	"runtime/debug"
)

const (
	manyProfiles = 50

	// Once all have their first credentials little is allocated, so that a heap that
	// grows by a quarter between two collections costs next to no time.
	smallHeap = 25
)

// saveMemory gives back what the first credentials of many profiles took, and has the heap
// stay small from then on. The variable GOGC is left its say.
func saveMemory(ps *profiles, started <-chan struct{}) Part {
	if len(ps.all()) < manyProfiles || os.Getenv("GOGC") != "" {
		return Part{}
	}
	return Part{Name: "the release of memory", Run: func(ctx context.Context) error {
		select {
		case <-started:
		case <-ctx.Done():
			return nil
		}
		debug.SetGCPercent(smallHeap)
		debug.FreeOSMemory()
		return nil
	}}
}
