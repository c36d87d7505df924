package cli

// examineLimits has none to look at.
func (d *doctor) examineLimits() {}

func (d *doctor) examineDirectory(dir string) { d.ok("run directory", "made in %s", dir) }
