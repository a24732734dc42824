"""The stages of the method: one file each. A stage gives its role's plug-in what it needs and stores what it yields.

Every stage file has a ``CODE_VERSION``: part of the digest that its result is kept under, raised whenever the
file's results may change.
"""
