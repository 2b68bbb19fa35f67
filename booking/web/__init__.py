"""Pages: one module for each menu entry, and what they all share."""
