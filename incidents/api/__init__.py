"""REST resources of `incidents`: translate, then make one domain call."""
