package cpu

// levels is the ladder, slowest first.
var levels = []level{
	{name: "ref", usable: func() bool { return true }, overlay: overlayRef},
}
