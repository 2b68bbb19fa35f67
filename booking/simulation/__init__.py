"""A practice that lives through years in minutes, judged by a model that shares no code with it."""

from booking.simulation.run import Outcome, Story, practice_of, simulate

__all__ = ["Outcome", "Story", "practice_of", "simulate"]
