"""``python -m anyportal_daemon serve``."""

if __name__ == "__main__":  # the worker child imports this module again, and must not start a daemon
    from anyportal_daemon.cli import main

    main()
