package process

import "time"

// A Read is the last reading of credentials by one way of delivery, as far as it is
// known. The zero value says that nobody has read any.
type Read struct {
	KeyID string // access key id of the credentials that were read
	At    time.Time
}
