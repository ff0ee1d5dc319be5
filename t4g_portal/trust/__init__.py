"""Trust from the first day: what a browser may load, who may sign in, when not to start."""
