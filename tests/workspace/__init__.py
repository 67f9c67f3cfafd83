"""Many jobs through the real command line, in a workspace of which a part of all calls fails."""
