"""Worker processes: the loop of one worker, and the pool of one machine."""
