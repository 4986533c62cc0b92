"""ntc-notify."""
