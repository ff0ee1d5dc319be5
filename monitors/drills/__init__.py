"""Drills: proving the road from a failure to a person, without a failure."""
