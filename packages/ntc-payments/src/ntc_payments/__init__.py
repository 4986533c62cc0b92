"""ntc-payments."""
