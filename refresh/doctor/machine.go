package doctor

import "net"

// examineMachine is about what brs-exec itself needs.
func (d *examination) examineMachine() {
	if (d.Plan.Deliver.Endpoint || d.Plan.Deliver.IMDS || d.Plan.Deliver.Sign) && !loopback() {
		d.problem("network", "ip link set lo up, or "+d.With("--deliver process"), "the loopback interface is down: no port can be opened there")
	}
	if d.Plan.Deliver.Sign && d.Plan.Child.Pdeathsig == 0 && d.via != "proxy" {
		d.note("network", d.With("--pdeathsig TERM"), "if brs-exec is killed, any user of this machine can open its port, and the command would send them its requests, with local keys")
	}
	if server := map[string]string{"endpoint": "container credentials endpoint", "imds": "metadata service"}[d.Deliver]; server != "" && d.Plan.Child.Pdeathsig == 0 {
		d.note("network", d.With("--pdeathsig TERM"), "if brs-exec is killed, any user of this machine can open the port of its %s, and the command would take that user's keys for its own", server)
	}
}

// loopback tells whether 127.0.0.1 is there. In a namespace that was made with
// unshare it is not.
func loopback() bool {
	interfaces, err := net.Interfaces()
	if err != nil {
		return true // not allowed to know
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			return true
		}
	}
	return false
}
