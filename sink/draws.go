package sink

// draws is a table of random numbers, indexed by a request's number and what is
// drawn for it. It holds no state: concurrent requests share it without a lock,
// and a number does not depend on who asked before.
type draws uint64

// What is drawn for a request.
const (
	drawReply = iota
	drawLatency
	drawsPerRequest
)

// at is the number for one draw of the n-th request, uniform in [0, 1). It is
// an output of the SplitMix64 generator, which may be entered anywhere.
func (d draws) at(n, which uint64) float64 {
	z := uint64(d) + (n*drawsPerRequest+which+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}
