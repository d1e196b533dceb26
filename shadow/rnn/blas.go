package rnn

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// impl is called directly: a product here is small, and blas32's checks of its
// own cost as much as the product.
var impl gonum.Implementation

// tile is the number of rows in one call. More rows would make gonum start
// goroutines, which the two workers of a training have no use for.
const tile = 64

// mul sets c (m x n) to a (m x k) times b (k x n) plus beta c.
func mul(m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	for i := 0; i < m && k > 0; i += tile {
		impl.Sgemm(blas.NoTrans, blas.NoTrans, min(tile, m-i), n, k, 1, a[i*lda:], lda, b, ldb, beta, c[i*ldc:], ldc)
	}
}

// mulByTransposed sets c (m x n) to a (m x k) times the transpose of b (n x k)
// plus beta c.
func mulByTransposed(m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	for i := 0; i < m; i += tile {
		impl.Sgemm(blas.NoTrans, blas.Trans, min(tile, m-i), n, k, 1, a[i*lda:], lda, b, ldb, beta, c[i*ldc:], ldc)
	}
}

// addTransposedMul adds the transpose of a (k x m) times b (k x n) to c (m x n).
func addTransposedMul(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	if m > 0 && k > 0 {
		impl.Sgemm(blas.Trans, blas.NoTrans, m, n, k, 1, a, lda, b, ldb, 1, c, ldc)
	}
}

// setRows sets each of the m rows of c to row.
func setRows(m int, row, c []float32) {
	for i := range m {
		copy(c[i*len(row):], row)
	}
}

// addRows adds the sum of the m rows of c to dst.
func addRows(dst []float32, m int, c []float32, ldc int) {
	for i := range m {
		for j, x := range c[i*ldc:][:len(dst)] {
			dst[j] += x
		}
	}
}

// resized returns s with n elements, of any content.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

func sigmoid(x float32) float32 { return 1 / (1 + exp(-x)) }

func tanh(x float32) float32 { return 1 - 2/(exp(2*x)+1) }

func softplus(x float64) float64 {
	if x > 30 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// exp is e^x in single precision, within two units in the last place for |x|
// up to 87, beyond which it is held: by splitting off the power of two and a
// polynomial for the rest (Cephes, expf).
func exp(x float32) float32 {
	const limit = 87
	x = min(max(x, -limit), limit)
	k := float32(int32(x*math.Log2E+1024.5)) - 1024
	r := x - k*0.693359375
	r += k * 2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return p * math.Float32frombits(uint32(int32(k)+127)<<23)
}
