"""What is said of a dataset: its fields and their rules, the form, edit lock and autosave, what a version keeps. Read `stating` first."""
