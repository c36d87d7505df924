package runlock

var lockParents []string // the temporary directory is the user's

func private(string) error { return nil }

func mayMake(string) error  { return nil }
func mayWrite(string) error { return nil }
