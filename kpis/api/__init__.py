"""KPIs in `/api/`."""
