"""What belongs to no single app: the development server and the demo data."""
