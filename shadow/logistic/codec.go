package logistic

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// mostFeatures keeps a damaged number from asking for all memory.
const mostFeatures = 4096

// MarshalBinary returns what was learnt: the number of weights (4 bytes), then
// in double precision the variance of a weight of which nothing is known, the
// weights with the constant last, and the upper triangle of their covariance,
// row by row; all little-endian. There is no checksum: a regression is part of
// something larger.
func (r *Regression) MarshalBinary() ([]byte, error) {
	m := len(r.weights)
	data := make([]byte, 0, size(m))
	data = binary.LittleEndian.AppendUint32(data, uint32(m))
	data = appendFloats(data, r.prior)
	data = appendFloats(data, r.weights...)
	for i := range m {
		data = appendFloats(data, r.spread[i*m+i:(i+1)*m]...)
	}
	return data, nil
}

// size is that of a regression of m weights.
func size(m int) int { return 4 + 8*(1+m+m*(m+1)/2) }

func appendFloats(data []byte, floats ...float64) []byte {
	for _, x := range floats {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
	}
	return data
}

// UnmarshalBinary replaces the regression by one of as many features that
// MarshalBinary wrote. It returns an error of kind Damaged, and leaves the
// regression as it was, if the data is none.
func (r *Regression) UnmarshalBinary(data []byte) error {
	fresh, err := read(data)
	if err == nil && len(fresh.weights) != len(r.weights) {
		err = fmt.Errorf("it has %d features, this program %d", len(fresh.weights)-1, len(r.weights)-1)
	}
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "read a regression", Remedy: "learn it again", Err: err}
	}
	*r = *fresh
	return nil
}

func read(data []byte) (*Regression, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("it ends too soon")
	}
	m := int(binary.LittleEndian.Uint32(data))
	if m < 1 || m > mostFeatures || len(data) != size(m) {
		return nil, fmt.Errorf("%d bytes do not hold %d weights", len(data), m)
	}
	data = data[4:]
	next := func() float64 {
		x := math.Float64frombits(binary.LittleEndian.Uint64(data))
		data = data[8:]
		return x
	}
	r := New(m-1, 1)
	r.prior = next()
	for i := range m {
		r.weights[i] = next()
	}
	for i := range m {
		for j := i; j < m; j++ {
			r.spread[i*m+j] = next()
		}
	}
	return r, r.check()
}

// check holds the numbers to what a regression can have: finite ones, and
// weights that are uncertain.
func (r *Regression) check() error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	if !finite(r.prior) || r.prior <= 0 {
		return fmt.Errorf("the variance at first is %v", r.prior)
	}
	for _, x := range slices.Concat(r.weights, r.spread) {
		if !finite(x) {
			return fmt.Errorf("a number is %v", x)
		}
	}
	m := len(r.weights)
	for i := range m {
		if r.spread[i*m+i] <= 0 {
			return fmt.Errorf("the variance of weight %d is %v", i, r.spread[i*m+i])
		}
	}
	return nil
}
