"""What people agree on about an incident: hand-overs, merging, roles, what follows."""
