"""QA mode: books in a known state, at a known time, for tests that look at a running portal."""
