"""One function a figure, from tidy tables and stored maps; a module for each notebook."""
