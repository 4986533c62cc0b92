"""Where files can be kept: one place, one file."""
