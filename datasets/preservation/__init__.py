"""What is done for published bytes: watched, read again, found damaged, moved, replicated. Read `watching` first."""
