"""manifest-runner: shot lists in git; plan, price, render and lock generative video."""

__version__ = "0.1.0"
__all__ = ["__version__"]
