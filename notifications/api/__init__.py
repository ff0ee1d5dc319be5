"""REST resources of `notifications`: translate, then make one domain call."""
