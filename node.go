package penumbra

import "time"

// Node is a process of several that share one store.
type Node struct {
	Name    string    `json:"name"`
	Address string    `json:"address"` // the URL at which the others reach it
	Version string    `json:"version"` // of the program
	Seen    time.Time `json:"seen"`    // when it was last heard of, by the database's clock
	Leads   bool      `json:"leads,omitempty"`
}

// NodeSilent is after how long a node that was not heard of is taken to be gone. Each
// says every two seconds or so that it is there.
const NodeSilent = 10 * time.Second

// Nodes are those of one store.
type Nodes struct {
	Time time.Time `json:"time"` // now, by the database's clock
	// Nodes are those that were heard of within a day, by name; empty where one process
	// has the store to itself.
	Nodes []Node `json:"nodes"`
}

// Gone reports whether a node is not heard of any more.
func (n *Nodes) Gone(node *Node) bool { return n.Time.Sub(node.Seen) > NodeSilent }
