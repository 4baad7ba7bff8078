"""One file per question: the cases it is asked of, what a process measures, and the rows that come of it."""
