"""What the portal promises about lost and doubled appointments, tried with real servers.

A stage holds a throw-away book; a scenario plays on it and says what was promised and seen.
"""
