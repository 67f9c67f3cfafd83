"""``python -m studio``."""

from studio.cli.main import main

if __name__ == "__main__":
    main()
