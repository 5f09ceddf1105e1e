"""`python -m bench`: the command line of this very interpreter."""

from bench.cli.main import main

main()
