"""Fine Tuning Studio, declarative."""

__version__ = "0.1.0"
