package writer

func helpPrivate([]string) error { return nil }
func helpUmask([]string) error   { return nil }
