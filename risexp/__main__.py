"""`python -m risexp` is `risexp`."""

from risexp.cli.main import main

if __name__ == "__main__":
    main()
