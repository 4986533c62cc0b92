"""The inbox: what other companies tell us, proven, stored once, acted upon by a job."""
