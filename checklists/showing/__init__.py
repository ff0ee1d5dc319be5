"""How checklists look and what is said of them, in the reader's language."""
