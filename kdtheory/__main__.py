"""``python -m kdtheory`` is ``kdtheory``."""

from kdtheory.cli import main

main()
