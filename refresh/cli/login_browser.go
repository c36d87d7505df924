package cli

import (
	"os/exec"
	"runtime"
)

// openers are what opens an address in the user's browser.
var openers = map[string][]string{
	"darwin":  {"open"},
	"windows": {"rundll32", "url.dll,FileProtocolHandler"},
}

// openBrowser starts the user's browser, and does not wait for it.
func openBrowser(url string) error {
	argv, ok := openers[runtime.GOOS]
	if !ok {
		argv = []string{"xdg-open"}
	}
	cmd := exec.Command(argv[0], append(argv[1:len(argv):len(argv)], url)...)
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return reason(err)
	}
	go cmd.Wait() // so that it does not stay a zombie
	return nil
}
