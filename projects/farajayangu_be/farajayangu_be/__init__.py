"""The Faraja Yangu service."""
