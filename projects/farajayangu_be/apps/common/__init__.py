"""What belongs to no single app: the development server, the demo data, the project's checks."""
