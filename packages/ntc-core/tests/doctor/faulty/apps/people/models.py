"""26: every save is a sign-in."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Somebody."""

    last_login = models.DateTimeField(auto_now=True)
