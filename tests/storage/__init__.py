"""Tests of the cells."""
