"""Settings: `dev` for a developer's machine, `prod` for the service, `test` for pytest."""
