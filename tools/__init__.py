"""Scripts that make shipped files and generated documentation."""
