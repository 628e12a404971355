// Package adapters owns what lies between the files of an adapter and the model that it changes: it reads and writes the formats, PEFT's
// folders and GGUF adapters, judges whether an adapter fits a base, and keeps the adapters that are there under names and generations.
//
//	Source    what an adapter's headers say; with a base's targets it gives a models.AdapterSpec, or a refusal that names tensors
//	Write...  an AdapterSpec as files
//	Registry  a name -> the generation behind it: admission, leases, the budget of memory
//
// It leaves arithmetic to runtime/models, finding files to daemon/watch and HTTP to daemon/server, and reaches loaded models only through
// the interface Bases. A name from a request is looked up among those that the folder has; it never becomes a path.
//
// Units: sizes are bytes. A digest is sha256 in hex of a GGUF adapter's file, or of adapter_config.json with adapter_model.safetensors behind it.
package adapters
