package cli

import "os"

func openTerminal() (in, out *os.File, err error) {
	if in, err = os.OpenFile("CONIN$", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile("CONOUT$", os.O_RDWR, 0); err != nil {
		in.Close()
	}
	return in, out, err
}

func findTerminal() bool {
	in, out, err := openTerminal()
	if err == nil {
		in.Close()
		out.Close()
	}
	return err == nil
}
