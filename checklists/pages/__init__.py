"""The pages of checklists: each translates, and makes one call to a service."""
