"""What makes the pages that nobody writes by hand."""
