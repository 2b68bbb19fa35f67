"""Every read that a page needs, by page; a constant number of queries each."""
