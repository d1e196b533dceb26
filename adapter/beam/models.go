package beam

import (
	"os"
	"sync"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/families"
)

// models are those that this process has read: a checkpoint is read once for each
// bundle that is worked on at the same time, since a model is for one goroutine.
var models = pool{free: map[string][]shadow.Model{}}

type pool struct {
	mu   sync.Mutex
	free map[string][]shadow.Model // by the checkpoint's path
}

func (p *pool) take(checkpoint string) (shadow.Model, error) {
	p.mu.Lock()
	if free := p.free[checkpoint]; len(free) > 0 {
		p.free[checkpoint] = free[:len(free)-1]
		p.mu.Unlock()
		return free[len(free)-1], nil
	}
	p.mu.Unlock()
	data, err := os.ReadFile(checkpoint)
	if err != nil {
		return nil, noCheckpoint(err)
	}
	_, m, err := families.Read(data)
	return m, err
}

func noCheckpoint(err error) error {
	return &penumbra.Error{Kind: penumbra.Missing, What: "read the model's checkpoint", Remedy: "name a file that every worker can read", Err: err}
}

func (p *pool) giveBack(checkpoint string, m shadow.Model) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[checkpoint] = append(p.free[checkpoint], m)
}

// drop lets go of the models: a job's checkpoint may be another one under the
// same name in the next.
func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.free)
}
