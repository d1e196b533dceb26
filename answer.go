package penumbra

import "time"

// KeptAnswer is what a request with a key of its own was answered, kept so that the
// same request, sent again because its answer was lost, is not carried out again.
type KeptAnswer struct {
	ID     []byte    // of who asked and the key that they gave; neither can be read from it
	Digest []byte    // of the request
	Begun  time.Time // when it came
	Status int       // HTTP status; 0 while it is being carried out
	Type   string    // media type of Body
	Body   []byte
}
