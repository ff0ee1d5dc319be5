"""How dates are written where Django's own way would surprise; found by its name."""
