//go:build !unix

package sign

// maxOpen is how many connections there may be.
func maxOpen() int { return mostOpen }
