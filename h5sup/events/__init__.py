"""What happened, as typed records, and who wants to know."""
