"""What differs between two runs, and whether their scores differ beyond noise."""
