"""Scripts that make what is shipped and what the documentation shows."""
