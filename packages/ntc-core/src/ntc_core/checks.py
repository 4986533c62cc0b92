"""System checks: mistakes in the settings that would otherwise show up in production."""
