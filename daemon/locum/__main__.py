"""`python -m locum` is `locum`."""

from locum.cli import main

if __name__ == "__main__":
    main()
