"""What customers and staff see. A view parses, asks `services` or the client, and renders; it knows no workflow."""
