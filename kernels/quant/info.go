package quant

// superBlock is the number of weights in a block of the K types and of most others with two levels of scales.
const superBlock = 256

// Info is what a reader must know of a tensor type without computing with it.
type Info struct {
	Type       Type
	Name       string // as ggml writes it
	BlockLen   int    // weights in a block; a row is whole blocks
	BlockBytes int    // bytes of a block
	Computable bool   // Decode, Encode and the kernels know it
	Removed    bool   // the id was withdrawn from the format: no current writer makes it, no reader computes with it
}

// Lookup returns what is known of a type id as it stands in a file. Ids that were never given out are not known.
func Lookup(id uint32) (Info, bool) {
	if id >= uint32(len(infos)) || infos[id].Name == "" {
		return Info{}, false
	}
	return infos[id], true
}

// Computable returns the types that Decode, Encode and the kernels know, by ascending id.
func Computable() []Type {
	var types []Type
	for _, info := range infos {
		if info.Computable {
			types = append(types, info.Type)
		}
	}
	return types
}

// infos is indexed by type id. Sizes are sums in the order of the block's fields.
var infos = [...]Info{
	0:  {Type: F32, Name: "F32", BlockLen: 1, BlockBytes: 4, Computable: true},
	1:  {Type: F16, Name: "F16", BlockLen: 1, BlockBytes: 2, Computable: true},
	2:  {Type: Q4_0, Name: "Q4_0", BlockLen: 32, BlockBytes: 2 + 16, Computable: true},
	3:  {Type: Q4_1, Name: "Q4_1", BlockLen: 32, BlockBytes: 2 + 2 + 16, Computable: true},
	4:  {Type: 4, Name: "Q4_2", BlockLen: 16, BlockBytes: 2 + 8, Removed: true},
	5:  {Type: 5, Name: "Q4_3", BlockLen: 16, BlockBytes: 2 + 2 + 8, Removed: true},
	6:  {Type: Q5_0, Name: "Q5_0", BlockLen: 32, BlockBytes: 2 + 4 + 16, Computable: true},
	7:  {Type: Q5_1, Name: "Q5_1", BlockLen: 32, BlockBytes: 2 + 2 + 4 + 16, Computable: true},
	8:  {Type: Q8_0, Name: "Q8_0", BlockLen: 32, BlockBytes: 2 + 32, Computable: true},
	9:  {Type: 9, Name: "Q8_1", BlockLen: 32, BlockBytes: 4 + 4 + 32},
	10: {Type: Q2_K, Name: "Q2_K", BlockLen: superBlock, BlockBytes: 16 + 64 + 2 + 2, Computable: true},
	11: {Type: Q3_K, Name: "Q3_K", BlockLen: superBlock, BlockBytes: 32 + 64 + 12 + 2, Computable: true},
	12: {Type: Q4_K, Name: "Q4_K", BlockLen: superBlock, BlockBytes: 2 + 2 + 12 + 128, Computable: true},
	13: {Type: Q5_K, Name: "Q5_K", BlockLen: superBlock, BlockBytes: 2 + 2 + 12 + 32 + 128, Computable: true},
	14: {Type: Q6_K, Name: "Q6_K", BlockLen: superBlock, BlockBytes: 128 + 64 + 16 + 2, Computable: true},
	15: {Type: 15, Name: "Q8_K", BlockLen: superBlock, BlockBytes: 4 + 256 + 32},
	16: {Type: 16, Name: "IQ2_XXS", BlockLen: superBlock, BlockBytes: 2 + 64},
	17: {Type: 17, Name: "IQ2_XS", BlockLen: superBlock, BlockBytes: 2 + 64 + 8},
	18: {Type: 18, Name: "IQ3_XXS", BlockLen: superBlock, BlockBytes: 2 + 64 + 32},
	19: {Type: 19, Name: "IQ1_S", BlockLen: superBlock, BlockBytes: 2 + 32 + 16},
	20: {Type: IQ4_NL, Name: "IQ4_NL", BlockLen: 32, BlockBytes: 2 + 16, Computable: true},
	21: {Type: 21, Name: "IQ3_S", BlockLen: superBlock, BlockBytes: 2 + 64 + 8 + 32 + 4},
	22: {Type: 22, Name: "IQ2_S", BlockLen: superBlock, BlockBytes: 2 + 64 + 16},
	23: {Type: IQ4_XS, Name: "IQ4_XS", BlockLen: superBlock, BlockBytes: 2 + 2 + 4 + 128, Computable: true},
	24: {Type: 24, Name: "I8", BlockLen: 1, BlockBytes: 1},
	25: {Type: 25, Name: "I16", BlockLen: 1, BlockBytes: 2},
	26: {Type: 26, Name: "I32", BlockLen: 1, BlockBytes: 4},
	27: {Type: 27, Name: "I64", BlockLen: 1, BlockBytes: 8},
	28: {Type: 28, Name: "F64", BlockLen: 1, BlockBytes: 8},
	29: {Type: 29, Name: "IQ1_M", BlockLen: superBlock, BlockBytes: 32 + 16 + 8},
	30: {Type: BF16, Name: "BF16", BlockLen: 1, BlockBytes: 2, Computable: true},
	31: {Type: 31, Name: "Q4_0_4_4", BlockLen: 32, BlockBytes: 2 + 16, Removed: true},
	32: {Type: 32, Name: "Q4_0_4_8", BlockLen: 32, BlockBytes: 2 + 16, Removed: true},
	33: {Type: 33, Name: "Q4_0_8_8", BlockLen: 32, BlockBytes: 2 + 16, Removed: true},
	34: {Type: 34, Name: "TQ1_0", BlockLen: superBlock, BlockBytes: 48 + 4 + 2},
	35: {Type: 35, Name: "TQ2_0", BlockLen: superBlock, BlockBytes: 64 + 2},
	36: {Type: 36, Name: "IQ4_NL_4_4", BlockLen: 32, BlockBytes: 2 + 16, Removed: true},
	37: {Type: 37, Name: "IQ4_NL_4_8", BlockLen: 32, BlockBytes: 2 + 16, Removed: true},
	38: {Type: 38, Name: "IQ4_NL_8_8", BlockLen: 32, BlockBytes: 2 + 16, Removed: true},
	39: {Type: MXFP4, Name: "MXFP4", BlockLen: 32, BlockBytes: 1 + 16, Computable: true},
	40: {Type: 40, Name: "NVFP4", BlockLen: 64, BlockBytes: 4 + 32},
	41: {Type: 41, Name: "Q1_0", BlockLen: 128, BlockBytes: 2 + 16},
	42: {Type: 42, Name: "Q2_0", BlockLen: 64, BlockBytes: 2 + 16},
}
