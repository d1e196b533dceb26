package stored

import (
	"runtime"
	"sync"
)

// shareSize is how much of a batch is worth a goroutine.
const shareSize = 128

// InParallel calls do with each number below n, in order within shares that run
// at once, and returns the error of the lowest share that has one.
func InParallel(n int, do func(i int) error) error {
	shares := min((n+shareSize-1)/shareSize, runtime.GOMAXPROCS(0))
	errs := make([]error, shares)
	var working sync.WaitGroup
	for share := range shares {
		working.Go(func() {
			for i := n * share / shares; i < n*(share+1)/shares && errs[share] == nil; i++ {
				errs[share] = do(i)
			}
		})
	}
	working.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
