"""Side by side with named rivals, in one run, on one machine."""
