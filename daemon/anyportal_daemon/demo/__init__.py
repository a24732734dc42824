"""`anyportal demo`: a small cut, from its timeline to the report."""
