"""`manage.py ntc_doctor`."""
