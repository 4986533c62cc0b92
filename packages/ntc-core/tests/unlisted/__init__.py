"""An app that somebody made and did not install."""
