"""What others send us: read within bounds, checked for who sent it, taken once."""
