"""What is run with torch once, and shown on the page as it was."""
