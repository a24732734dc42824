"""How good a result is: metrics, and the plain ways to do it that a result is compared with."""
