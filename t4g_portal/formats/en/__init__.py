"""English of a company whose clock has 24 hours."""
