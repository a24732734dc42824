"""Where the daemon keeps bytes: blobs that belong to users."""
