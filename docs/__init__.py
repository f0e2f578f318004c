"""The sources of the documentation."""
