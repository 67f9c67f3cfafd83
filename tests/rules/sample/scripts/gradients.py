import os

WORLD_SIZE = os.environ["WORLD_SIZE"]
