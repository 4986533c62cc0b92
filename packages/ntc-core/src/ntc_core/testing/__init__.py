"""What tests of an NTC project use: assertions here, fixtures in `plugin`, databases in `services`.

The pytest plugin is installed with the package; there is nothing to configure.
"""

from ntc_core.testing.assertions import assert_error, assert_success

__all__ = ["assert_error", "assert_success"]
