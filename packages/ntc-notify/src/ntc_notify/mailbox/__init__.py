"""The page that shows what the local mailbox holds, while DEBUG is on.

path("dev/mailbox/", include("ntc_notify.mailbox.urls"))
"""
