package main

import (
	"net"
)

// examineMachine is about what brs-exec itself needs.
func (d *doctor) examineMachine() {
	if (d.plan.Deliver.Endpoint || d.plan.Deliver.IMDS) && !loopback() {
		d.problem("network", "ip link set lo up, or "+d.with("--deliver process"), "the loopback interface is down: the endpoint cannot be opened")
	}
	d.examineLimits()
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
