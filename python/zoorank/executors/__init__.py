"""Run a function over jobs, here or in other processes, and survive what happens to it."""
