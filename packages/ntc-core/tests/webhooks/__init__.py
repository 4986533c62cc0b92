"""Tests of the webhook inbox."""
