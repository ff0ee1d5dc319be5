"""What every resource of `/api/v1/` stands on; imports no app."""
