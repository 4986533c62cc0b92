"""Fixtures that all tests of the package share."""
