"""Plans, and who may use the service until when."""
