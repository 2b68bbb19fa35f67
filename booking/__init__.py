"""The domain: people, practice, appointments, and what may happen to them."""
