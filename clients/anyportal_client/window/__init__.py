"""The window of a host: a page served on loopback, between the host's script and a browser.

The script writes what is to be seen to standard input; what the person wishes comes as events on standard output.
Nothing is decided here: the script does the work, through the command `anyportal` as for everything else.
"""
