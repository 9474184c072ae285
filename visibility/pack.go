package visibility

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// packer makes blocks smaller: the cells of a block are much alike, and shrink to
// half. The first byte tells whether it was worth it.
type packer struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

const (
	packedPlain = 0
	packedZstd  = 1

	maxBlock = 64 << 20 // bytes, unpacked; a damaged block does not ask for more
)

func newPacker() (p packer, err error) {
	if p.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)); err != nil {
		return p, fmt.Errorf("make an encoder: %w", err)
	}
	if p.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
		return p, fmt.Errorf("make a decoder: %w", err)
	}
	return p, nil
}

func (p *packer) pack(data []byte) []byte {
	if packed := p.encoder.EncodeAll(data, []byte{packedZstd}); len(packed) <= len(data) {
		return packed
	}
	return append([]byte{packedPlain}, data...)
}

// unpack returns what pack was given, which is valid until data changes or scratch
// is used again.
func (p *packer) unpack(data []byte, scratch *[]byte) ([]byte, error) {
	switch {
	case len(data) > 0 && data[0] == packedPlain:
		return data[1:], nil
	case len(data) > 0 && data[0] == packedZstd:
		out, err := p.decoder.DecodeAll(data[1:], (*scratch)[:0])
		if err != nil {
			return nil, fmt.Errorf("%w: a block: %w", ErrCorrupt, err)
		}
		*scratch = out
		return out, nil
	default:
		return nil, fmt.Errorf("%w: a block of an unknown kind", ErrCorrupt)
	}
}
