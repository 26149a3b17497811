"""Tests of the recurrence engine."""
