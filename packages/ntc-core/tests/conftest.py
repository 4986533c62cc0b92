"""What all tests of the package share."""

pytest_plugins = ["pytester"]
