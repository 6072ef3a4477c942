"""``python -m reml_embed.cli``."""

from reml_embed.cli import main

main()
