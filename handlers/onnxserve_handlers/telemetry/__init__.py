"""What is observed of requests; it never changes an answer."""
