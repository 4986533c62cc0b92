"""Two questions a platform asks: is the process alive, and can it serve?

path("health/", include("ntc_core.health.urls"))    # live/ and ready/
"""
