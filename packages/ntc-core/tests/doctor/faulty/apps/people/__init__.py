"""Part of the faulty project."""
