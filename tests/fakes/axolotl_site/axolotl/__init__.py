"""A stand-in of Axolotl that trains nothing."""
