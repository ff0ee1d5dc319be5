"""One file a way to send, all of one shape, found through `registry`."""
