"""REST resources of `monitors`: translate, then make one domain call."""
