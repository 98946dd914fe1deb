"""What is recorded about requests; nothing here changes a response."""
