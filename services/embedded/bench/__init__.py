"""`script/bench`: what is measured, and against which other program; a timing is never an assertion of a test."""
