//go:build !(linux || darwin || freebsd || dragonfly)

package doctor

// examineLimits has none to look at.
func (d *examination) examineLimits() {}

func (d *examination) examineDirectory(dir string) { d.ok("run directory", "made in %s", dir) }
