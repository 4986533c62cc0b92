"""What happens to money when the database or Redis goes away; docs/guides/faults.md."""
