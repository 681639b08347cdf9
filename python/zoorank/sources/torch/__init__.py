"""Networks of torch: built, cut, run, trained."""
