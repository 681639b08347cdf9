"""Rankings for people: tables and progress on a terminal."""
