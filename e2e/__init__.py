"""Browser tests: a real server, a real browser, real mail, a stopped clock."""
