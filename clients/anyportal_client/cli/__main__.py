"""`python -m anyportal_client.cli`: the command `anyportal`, where it is not on the path."""

from anyportal_client.cli import main

main()
