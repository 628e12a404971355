package ref

import "github.com/weft-run/weft/kernels/quant"

// A quantized cache keeps the blocks of quant.Encode. Values lie in a page as rows of blocks, token after token. Keys lie
// across: a group, which is the blocks of the same 32 elements of all tokens of the page, is first their scales, two bytes a
// token, and then byte after byte of the quants, each of all tokens:
//
//	scale[tokens] f16, quants[0][tokens], quants[1][tokens], ...
//
// so a group is as large as its blocks, and a vector load takes one element of many keys.

// StoreKeyQuants writes the key of a token, whole blocks of t, to its place among the keys of a page of tokens.
func StoreKeyQuants(t quant.Type, page []byte, tokens, token int, blocks []byte) {
	size := t.Info().BlockBytes
	for ; len(blocks) > 0; blocks, page = blocks[size:], page[size*tokens:] {
		copy(page[2*token:2*token+2], blocks[:2])
		for i, b := range blocks[2:size] {
			page[(2+i)*tokens+token] = b
		}
	}
}

// LoadKeyQuants sets rows of dst, which begin stride elements apart, to the keys of a page of tokens: element d of the key of
// token j becomes dst[d*stride+j], as quant.Decode makes it. t is Q8_0 or Q4_0.
func LoadKeyQuants(t quant.Type, dst []float32, stride int, page []byte, tokens int) {
	size := t.Info().BlockBytes
	groups := len(page) / (size * tokens)
	for g := range groups {
		group, rows := page[g*size*tokens:(g+1)*size*tokens], dst[g*32*stride:]
		for j := range tokens {
			scale := quant.F16ToF32(uint16(group[2*j]) | uint16(group[2*j+1])<<8)
			for i := range size - 2 {
				q := group[(2+i)*tokens+j]
				if t == quant.Q8_0 {
					rows[i*stride+j] = float32(int8(q)) * scale
					continue
				}
				rows[i*stride+j] = float32(int(q&15)-8) * scale
				rows[(i+16)*stride+j] = float32(int(q>>4)-8) * scale
			}
		}
	}
}
